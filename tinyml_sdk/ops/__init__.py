"""The operators, one file each, and the step from a Graph to the layers that planning and generation work on."""

from __future__ import annotations

from dataclasses import replace

from ..boards.cores import Core
from ..errors import ModelError
from ..graph import DType, Graph
from .abs import Abs
from .add import Add
from .arg_max import ArgMax
from .arg_min import ArgMin
from .assign_variable import AssignVariable
from .average_pool_2d import AveragePool2D
from .base import (
    Constant,
    Input,
    KernelChoice,
    KernelSharing,
    Layer,
    Operator,
    Optimize,
    OpView,
    Output,
    Parameters,
    ParameterValue,
    Scratch,
    State,
)
from .batch_matmul import BatchMatMul
from .concatenation import Concatenation
from .constant_channels import remove_constant_channels
from .conv_2d import Conv2D
from .depth_to_space import DepthToSpace
from .depthwise_conv_2d import DepthwiseConv2D
from .dequantize import Dequantize
from .expand_dims import ExpandDims
from .fully_connected import FullyConnected
from .fusion import fuse_ops
from .global_pool import global_pool_layer
from .hard_swish import HardSwish
from .l2_normalization import L2Normalization
from .leaky_relu import LeakyRelu
from .logistic import Logistic
from .max_pool_2d import MaxPool2D
from .maximum import Maximum
from .mean import Mean
from .minimum import Minimum
from .mirror_pad import MirrorPad
from .mul import Mul
from .pack import Pack
from .pad import Pad
from .prelu import Prelu
from .quantize import Quantize
from .reduce_max import ReduceMax
from .reduce_min import ReduceMin
from .relu import Relu
from .relu6 import Relu6
from .reshape import Reshape
from .resize_bilinear import ResizeBilinear
from .resize_nearest_neighbor import ResizeNearestNeighbor
from .rows import RowField, Rows, RowWindow, merged_parameters, op_of_rows, row_window
from .selection import not_worth_their_code, price_of_byte
from .slice import Slice
from .softmax import Softmax
from .space_to_depth import SpaceToDepth
from .sparse.layers import CODE_BYTES
from .split import Split
from .split_v import SplitV
from .squeeze import Squeeze
from .strided_slice import StridedSlice
from .sub import Sub
from .sum import Sum
from .tanh import Tanh
from .transpose import Transpose
from .transpose_conv import TransposeConv
from .unidirectional_sequence_lstm import UnidirectionalSequenceLstm
from .unpack import Unpack

__all__ = [
    "OPERATORS",
    "Constant",
    "Input",
    "KernelChoice",
    "Layer",
    "OpView",
    "Operator",
    "Optimize",
    "Output",
    "ParameterValue",
    "Parameters",
    "RowField",
    "RowWindow",
    "Rows",
    "Scratch",
    "State",
    "fuse_ops",
    "lower_graph",
    "lower_rows",
    "merged_parameters",
    "remove_constant_channels",
    "row_window",
]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Abs(),
        Add(),
        ArgMax(),
        ArgMin(),
        AssignVariable(),
        AveragePool2D(),
        BatchMatMul(),
        Concatenation(),
        Conv2D(),
        DepthToSpace(),
        DepthwiseConv2D(),
        Dequantize(),
        ExpandDims(),
        FullyConnected(),
        HardSwish(),
        L2Normalization(),
        LeakyRelu(),
        Logistic(),
        MaxPool2D(),
        Maximum(),
        Mean(),
        Minimum(),
        MirrorPad(),
        Mul(),
        Pack(),
        Pad(),
        Prelu(),
        Quantize(),
        ReduceMax(),
        ReduceMin(),
        Relu(),
        Relu6(),
        Reshape(),
        ResizeBilinear(),
        ResizeNearestNeighbor(),
        Slice(),
        Softmax(),
        SpaceToDepth(),
        Split(),
        SplitV(),
        Squeeze(),
        StridedSlice(),
        Sub(),
        Sum(),
        Tanh(),
        Transpose(),
        TransposeConv(),
        UnidirectionalSequenceLstm(),
        Unpack(),
    )
}


_WAYS_OUT = {
    "TILE": "TensorFlow Lite Micro lacks it; of UpSampling layers `tinyml quantize` makes RESIZE_NEAREST_NEIGHBOR",
}
"""Hints for operators that converters write, and that TensorFlow Lite Micro lacks as well."""

_SHARING_PASSES = 4
"""Choices follow one another: what one layer takes, others can share."""


def lower_graph(graph: Graph, core: Core | None = None, optimize: Optimize = "speed") -> tuple[Layer, ...]:
    """Check every op and choose its kernel for `core` (portable kernels where None), for `speed` or `size`.

    Raises:
        ModelError: an operator is unknown, or one of its fields is unsupported or impossible.
    """
    _refuse_int16(graph)
    features = core.features if core else frozenset()
    without: frozenset[str] = frozenset()
    while True:
        layers = tuple(_lower(OpView(graph, op, features, optimize, without)) for op in graph.ops)
        more = not_worth_their_code(layers, CODE_BYTES) if optimize == "size" else frozenset()
        if not more:
            break
        without |= more
    if optimize == "size":
        price = price_of_byte(layers)
        for _ in range(_SHARING_PASSES):
            layers = _share_kernels(graph, layers, OpView(graph, graph.ops[0], features, optimize, without), price)
    return layers


def lower_rows(
    graph: Graph, layer: Layer, window: RowWindow, rows: Rows, core: Core | None, optimize: Optimize
) -> Layer:
    """A layer over just some rows of its image, with the same kernel where that can do it, or one that takes them in.

    Args:
        window: The layer's, from `row_window`.
        rows: What of it.
    """
    features = core.features if core else frozenset()
    if window.state_bytes:
        return global_pool_layer(OpView(graph, layer.op, features, optimize), layer, window, rows)
    of_rows, op = op_of_rows(graph, layer.op, window, rows)
    return _lower(OpView(of_rows, op, features, optimize, only=layer.kernel))


def _share_kernels(graph: Graph, layers: tuple[Layer, ...], view: OpView, price: float) -> tuple[Layer, ...]:
    """Choose again, layer by layer, what is cheapest when code counts too that no other layer has."""
    chosen = list(layers)
    for position, op in enumerate(graph.ops):
        others = frozenset(layer.kernel for place, layer in enumerate(chosen) if place != position)
        chosen[position] = _lower(replace(view, op=op, sharing=KernelSharing(others, price)))
    return tuple(chosen)


def _lower(view: OpView) -> Layer:
    operator = OPERATORS.get(view.op.name)
    if operator is None:
        raise ModelError(
            "this operator is not supported",
            where=f"{view.graph.source}: op {view.op.index} ({view.op.name})",
            hint=_WAYS_OUT.get(view.op.name, f"supported are {', '.join(sorted(OPERATORS))}"),
        )
    return operator.checked_lower(view)


def _refuse_int16(graph: Graph) -> None:
    """One answer for the whole model, where else each operator would complain of its version or a dtype."""
    for op in graph.ops:
        for index in op.outputs:
            if graph.tensors[index].dtype is DType.INT16:
                raise ModelError(
                    "has int16 activations, and the kernels of tinyml are int8 only",
                    where=f"{graph.source}: op {op.index} ({op.name})",
                    hint="quantize it with int8 activations, or run this file with TensorFlow Lite Micro",
                )
