"""The parts of the TFLite schema that the reader needs, as tables: operator names, element types, option fields.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs, schema version 3. Slots count a table's fields from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model import DType

__all__ = [
    "ACTIVATIONS",
    "INT4",
    "MIRROR_MODES",
    "OPERATOR_NAMES",
    "OPTION_TABLES",
    "PADDINGS",
    "TENSOR_TYPES",
    "OptionField",
    "OptionTable",
]

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"

# In the order of enum BuiltinOperator, so that the position is the code ("-" where the enum has a gap).
OPERATOR_NAMES: tuple[str, ...] = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
    FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION
    LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN
    SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
    DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
    GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL
    NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
    ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL
    FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE
    CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
    SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE
    BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT
    HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN
    BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
    STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
    STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
    STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
    STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT
    STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
    STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER
    STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
    STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()
)

# enum TensorType; types without a DType are named only so that errors can say what a tensor is.
TENSOR_TYPE_NAMES: tuple[str, ...] = tuple(
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant "
    "uint32 uint16 int4 bfloat16 int2 uint4".split()
)
INT4 = TENSOR_TYPE_NAMES.index("int4")
RESOURCE = TENSOR_TYPE_NAMES.index("resource")
TENSOR_TYPES: dict[int, DType] = {TENSOR_TYPE_NAMES.index(dtype.value): dtype for dtype in DType}

PADDINGS = ("SAME", "VALID")
MIRROR_MODES = ("REFLECT", "SYMMETRIC")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")


@dataclass(frozen=True)
class OptionField:
    """One field of an option table. `kind` is `i` int32, `b` int8, `?` bool, `f` float32, `v` a vector of int32,
    `s` a text, or the tuple of names of an int8 enum."""

    name: str
    slot: int
    kind: str | tuple[str, ...]
    default: int | float = 0


@dataclass(frozen=True)
class OptionTable:
    """An option table: its number in union BuiltinOptions, and its fields."""

    union_type: int
    fields: tuple[OptionField, ...] = ()


_POOL = OptionTable(
    5,
    (
        OptionField("padding", 0, PADDINGS),
        OptionField("stride_w", 1, "i"),
        OptionField("stride_h", 2, "i"),
        OptionField("filter_width", 3, "i"),
        OptionField("filter_height", 4, "i"),
        OptionField("fused_activation_function", 5, ACTIVATIONS),
    ),
)
_REDUCER = OptionTable(27, (OptionField("keep_dims", 0, "?"),))


def _activation_only(union_type: int) -> OptionTable:
    return OptionTable(union_type, (OptionField("fused_activation_function", 0, ACTIVATIONS),))


# By operator name. An operator that is not listed is read without options.
OPTION_TABLES: dict[str, OptionTable] = {
    "ADD": _activation_only(11),
    "AVERAGE_POOL_2D": _POOL,
    "BATCH_MATMUL": OptionTable(101, (OptionField("adj_x", 0, "?"), OptionField("adj_y", 1, "?"))),
    "CALL_ONCE": OptionTable(103, (OptionField("init_subgraph_index", 0, "i"),)),
    "CONCATENATION": OptionTable(
        10, (OptionField("axis", 0, "i"), OptionField("fused_activation_function", 1, ACTIVATIONS))
    ),
    "CONV_2D": OptionTable(
        1,
        (
            OptionField("padding", 0, PADDINGS),
            OptionField("stride_w", 1, "i"),
            OptionField("stride_h", 2, "i"),
            OptionField("fused_activation_function", 3, ACTIVATIONS),
            OptionField("dilation_w_factor", 4, "i", 1),
            OptionField("dilation_h_factor", 5, "i", 1),
        ),
    ),
    "DEPTHWISE_CONV_2D": OptionTable(
        2,
        (
            OptionField("padding", 0, PADDINGS),
            OptionField("stride_w", 1, "i"),
            OptionField("stride_h", 2, "i"),
            OptionField("depth_multiplier", 3, "i"),
            OptionField("fused_activation_function", 4, ACTIVATIONS),
            OptionField("dilation_w_factor", 5, "i", 1),
            OptionField("dilation_h_factor", 6, "i", 1),
        ),
    ),
    "DEPTH_TO_SPACE": OptionTable(94, (OptionField("block_size", 0, "i"),)),
    "DEQUANTIZE": OptionTable(38),
    "FULLY_CONNECTED": OptionTable(
        8,
        (
            OptionField("fused_activation_function", 0, ACTIVATIONS),
            OptionField("weights_format", 1, ("DEFAULT", "SHUFFLED4x16INT8")),
            OptionField("keep_num_dims", 2, "?"),
        ),
    ),
    "L2_NORMALIZATION": _activation_only(12),
    "LEAKY_RELU": OptionTable(75, (OptionField("alpha", 0, "f"),)),
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCER,
    "MIRROR_PAD": OptionTable(77, (OptionField("mode", 0, MIRROR_MODES),)),
    "MUL": _activation_only(21),
    "PACK": OptionTable(59, (OptionField("values_count", 0, "i"), OptionField("axis", 1, "i"))),
    "PAD": OptionTable(22),
    "QUANTIZE": OptionTable(89),
    "REDUCE_MAX": _REDUCER,
    "REDUCE_MIN": _REDUCER,
    "RESHAPE": OptionTable(17, (OptionField("new_shape", 0, "v"),)),
    "SOFTMAX": OptionTable(9, (OptionField("beta", 0, "f"),)),
    "RESIZE_BILINEAR": OptionTable(
        15, (OptionField("align_corners", 2, "?"), OptionField("half_pixel_centers", 3, "?"))
    ),
    "RESIZE_NEAREST_NEIGHBOR": OptionTable(
        74, (OptionField("align_corners", 0, "?"), OptionField("half_pixel_centers", 1, "?"))
    ),
    "SQUEEZE": OptionTable(30, (OptionField("squeeze_dims", 0, "v"),)),
    "STRIDED_SLICE": OptionTable(
        32,
        (
            OptionField("begin_mask", 0, "i"),
            OptionField("end_mask", 1, "i"),
            OptionField("ellipsis_mask", 2, "i"),
            OptionField("new_axis_mask", 3, "i"),
            OptionField("shrink_axis_mask", 4, "i"),
            OptionField("offset", 5, "?"),
        ),
    ),
    "SPACE_TO_DEPTH": OptionTable(19, (OptionField("block_size", 0, "i"),)),
    "SPLIT": OptionTable(35),
    "SPLIT_V": OptionTable(79),
    "SUB": _activation_only(28),
    "TRANSPOSE_CONV": OptionTable(
        49,
        (
            OptionField("padding", 0, PADDINGS),
            OptionField("stride_w", 1, "i"),
            OptionField("stride_h", 2, "i"),
            OptionField("fused_activation_function", 3, ACTIVATIONS),
        ),
    ),
    "SUM": _REDUCER,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": OptionTable(
        71,
        (
            OptionField("fused_activation_function", 0, ACTIVATIONS),
            OptionField("cell_clip", 1, "f"),
            OptionField("proj_clip", 2, "f"),
            OptionField("time_major", 3, "?"),
            OptionField("asymmetric_quantize_inputs", 4, "?"),
            OptionField("diagonal_recurrent_tensors", 5, "?"),
        ),
    ),
    "UNPACK": OptionTable(64, (OptionField("num", 0, "i"), OptionField("axis", 1, "i"))),
    "VAR_HANDLE": OptionTable(111, (OptionField("container", 0, "s"), OptionField("shared_name", 1, "s"))),
}
