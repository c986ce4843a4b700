"""What TensorFlow Lite Micro's resolver has to be told of a model's operators. Runtime `tflm` needs no kernel of ours.

TFLM files meant here: `micro_mutable_op_resolver.h` (the methods), `kernels/*.h` (the registrations).
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass

from ..errors import ModelError
from ..graph import ABSENT, DType, Graph, Op
from . import OPERATORS, OpView
from .base import Layer

__all__ = ["Registration", "find_registrations", "tflm_layers"]

_BESIDE_OURS = """
    ADD_N AddN, BATCH_TO_SPACE_ND BatchToSpaceNd, BROADCAST_ARGS BroadcastArgs, BROADCAST_TO BroadcastTo, CAST Cast,
    CEIL Ceil, COS Cos, CUMSUM CumSum, DIV Div, DYNAMIC_UPDATE_SLICE DynamicUpdateSlice, ELU Elu,
    EMBEDDING_LOOKUP EmbeddingLookup, EQUAL Equal, EXP Exp, FILL Fill, FLOOR Floor, FLOOR_DIV FloorDiv,
    FLOOR_MOD FloorMod, GATHER Gather, GATHER_ND GatherNd, GREATER Greater, GREATER_EQUAL GreaterEqual,
    L2_POOL_2D L2Pool2D, LESS Less, LESS_EQUAL LessEqual, LOG Log, LOGICAL_AND LogicalAnd, LOGICAL_NOT LogicalNot,
    LOGICAL_OR LogicalOr, LOG_SOFTMAX LogSoftmax, NEG Neg, NOT_EQUAL NotEqual, PADV2 PadV2,
    REDUCE_ALL ReduceAll, REVERSE_V2 ReverseV2, ROUND Round, RSQRT Rsqrt, SELECT_V2 SelectV2, SHAPE Shape, SIN Sin,
    SPACE_TO_BATCH_ND SpaceToBatchNd, SQRT Sqrt, SQUARE Square, SQUARED_DIFFERENCE SquaredDifference, SVDF Svdf,
    ZEROS_LIKE ZerosLike
"""
"""Operators of TFLM that have no file here, and their methods. Those that need a second subgraph or resource variables
(CALL_ONCE, IF, WHILE, VAR_HANDLE …) are left out: a Graph has one subgraph and no such variables."""

_RESOLVER_METHODS = {
    **{name: f"Add{method}" for name, method in (entry.split() for entry in _BESIDE_OURS.split(","))},
    **{operator.name: operator.resolver for operator in OPERATORS.values()},
}

_INT8_ONLY = frozenset(
    """ADD AVERAGE_POOL_2D BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAXIMUM MAX_POOL_2D MINIMUM MUL PAD
    SOFTMAX SVDF TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM""".split()
)
"""Operators with a `Register_NAME_INT8`, which leaves the kernels for all other types out of the firmware."""

_INT4_ONLY = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Operators with a `Register_NAME_INT4` besides; CMSIS-NN's int8 registration would read packed weights as bytes."""

_FIXED = frozenset({"DYNAMIC_UPDATE_SLICE", "RESIZE_NEAREST_NEIGHBOR"})
"""Operators whose resolver method takes no registration."""


@dataclass(frozen=True)
class Registration:
    """One call of the resolver.

    Attributes:
        op_name: The operator.
        method: Of MicroMutableOpResolver.
        function: The registration to hand it, `Register_CONV_2D_INT8`.
        default: Whether the method takes that one by itself.
        replaceable: Whether the method takes a registration at all.
    """

    op_name: str
    method: str
    function: str
    default: bool
    replaceable: bool


def find_registrations(graph: Graph, *, int8_only: bool = True) -> tuple[Registration, ...]:
    """The operators that a model needs of TFLM, each once, in the order in which it first uses them.

    Args:
        graph: The model as it is in the file.
        int8_only: Whether to take the registrations for int8, or for int4 weights, alone where they suffice.

    Raises:
        ModelError: TFLM does not have an operator, or the interpreter's glue cannot serve it.
    """
    found: dict[str, set[str]] = {}
    for op in graph.ops:
        if op.name not in _RESOLVER_METHODS:
            raise _missing(graph, op)
        found.setdefault(op.name, set()).add(_kernels(graph, op) if int8_only else "")
    return tuple(_registration(name, kernels) for name, kernels in found.items())


def tflm_layers(graph: Graph) -> tuple[Layer, ...]:
    """A layer for each op, for its multiply-accumulates alone: 0 where the operator is none of ours."""
    return tuple(_layer(graph, op) for op in graph.ops)


def _registration(name: str, kernels: set[str]) -> Registration:
    suffix = next(iter(kernels)) if len(kernels) == 1 else ""
    return Registration(name, _RESOLVER_METHODS[name], f"Register_{name}{suffix}", not suffix, name not in _FIXED)


def _kernels(graph: Graph, op: Op) -> str:
    """What the registration that has an op's kernels and no others is called by: "" where it has all of them."""
    if not _is_int8(graph, op):
        return ""
    if any(graph.tensors[index].packed for index in op.inputs[1:2] if index != ABSENT):
        return "_INT4" if op.name in _INT4_ONLY else ""
    return "_INT8" if op.name in _INT8_ONLY else ""


def _is_int8(graph: Graph, op: Op) -> bool:
    """Whether the activations and weights of an op are int8. Shapes, axes and biases are int32."""
    read = {graph.tensors[index].dtype for index in op.inputs[:2] if index != ABSENT} - {DType.INT32}
    written = {graph.tensors[index].dtype for index in op.outputs}
    return read == written == {DType.INT8}


def _layer(graph: Graph, op: Op) -> Layer:
    operator = OPERATORS.get(op.name)
    macs = 0
    if operator is not None:
        with suppress(ModelError):  # TFLM may take what our kernel does not, such as int16
            macs = operator.checked_lower(OpView(graph, op)).macs
    return Layer(op, kernel="", header="", arguments=(), macs=macs)


def _missing(graph: Graph, op: Op) -> ModelError:
    close = difflib.get_close_matches(op.name, _RESOLVER_METHODS, n=1)
    meant = f"; the closest that it has is {close[0]}" if close else ""
    return ModelError(
        "TensorFlow Lite Micro does not have this operator, or needs more for it than one subgraph",
        where=f"{graph.source}: op {op.index} ({op.name})",
        hint=f"change the layer in the original model{meant}",
    )
