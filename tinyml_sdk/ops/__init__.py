"""The operators, one file each, and the step from a Graph to the layers that planning and generation work on."""

from __future__ import annotations

from ..boards.cores import Core
from ..errors import ModelError
from ..graph import Graph
from .add import Add
from .average_pool_2d import AveragePool2D
from .base import Constant, Input, KernelChoice, Layer, Operator, OpView, Output, Parameters, ParameterValue, Scratch
from .concatenation import Concatenation
from .constant_channels import remove_constant_channels
from .conv_2d import Conv2D
from .depthwise_conv_2d import DepthwiseConv2D
from .dequantize import Dequantize
from .fully_connected import FullyConnected
from .logistic import Logistic
from .max_pool_2d import MaxPool2D
from .mean import Mean
from .mul import Mul
from .pad import Pad
from .quantize import Quantize
from .relu import Relu
from .relu6 import Relu6
from .reshape import Reshape
from .softmax import Softmax
from .sub import Sub

__all__ = [
    "OPERATORS",
    "Constant",
    "Input",
    "KernelChoice",
    "Layer",
    "OpView",
    "Operator",
    "Output",
    "ParameterValue",
    "Parameters",
    "Scratch",
    "lower_graph",
    "remove_constant_channels",
]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Add(),
        AveragePool2D(),
        Concatenation(),
        Conv2D(),
        DepthwiseConv2D(),
        Dequantize(),
        FullyConnected(),
        Logistic(),
        MaxPool2D(),
        Mean(),
        Mul(),
        Pad(),
        Quantize(),
        Relu(),
        Relu6(),
        Reshape(),
        Softmax(),
        Sub(),
    )
}


def lower_graph(graph: Graph, core: Core | None = None) -> tuple[Layer, ...]:
    """Check every op and choose its kernel for `core` (portable kernels where None).

    Raises:
        ModelError: an operator is unknown, or one of its fields is unsupported or impossible.
    """
    features = core.features if core else frozenset()
    layers = []
    for op in graph.ops:
        operator = OPERATORS.get(op.name)
        if operator is None:
            raise ModelError(
                "this operator is not supported",
                where=f"{graph.source}: op {op.index} ({op.name})",
                hint=f"supported are {', '.join(sorted(OPERATORS))}",
            )
        layers.append(operator.checked_lower(OpView(graph, op, features)))
    return tuple(layers)
