"""The operators, one file each, and the step from a Graph to the layers that planning and generation work on."""

from __future__ import annotations

from ..boards.cores import Core
from ..errors import ModelError
from ..graph import Graph
from .base import Constant, Input, Layer, Operator, OpView, Output, Parameters, ParameterValue, Scratch
from .conv_2d import Conv2D
from .fully_connected import FullyConnected

__all__ = [
    "OPERATORS",
    "Constant",
    "Input",
    "Layer",
    "OpView",
    "Operator",
    "Output",
    "ParameterValue",
    "Parameters",
    "Scratch",
    "lower_graph",
]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Conv2D(),
        FullyConnected(),
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
