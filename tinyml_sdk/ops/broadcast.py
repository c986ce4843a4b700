"""Operands of different shapes: sizes of 1, or missing in front, are repeated to fit the other operand.

Semantics: tensorflow/lite/kernels/internal/reference/broadcast_loop.h, up to its six dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..graph import Tensor
from .base import OpView, ParameterValue
from .overlap import IN_PLACE

__all__ = ["Broadcast", "broadcast_inputs"]

_LOOPS = 5
"""The struct's loops around a row. Six dimensions give at most one row and five."""


@dataclass(frozen=True)
class _Loop:
    """Neighbouring dimensions in which the same inputs move, as one."""

    size: int
    moves: tuple[bool, bool]


@dataclass(frozen=True)
class Broadcast:
    """How a kernel with two inputs and one output walks over them.

    Attributes:
        parameters: The fields of the C struct `tinyml_broadcast`.
        lead: See `Layer.lead`. An input that is not repeated may be overwritten as it is read.
        rows: How many rows the walk has.
        moves_both: Whether both inputs move along a row.
    """

    parameters: dict[str, ParameterValue]
    lead: tuple[int | None, int | None]
    rows: int
    moves_both: bool


def broadcast_inputs(view: OpView, input1: Tensor, input2: Tensor, output: Tensor) -> Broadcast:
    """The walk over two inputs, in as few loops as their shapes allow. Raises ModelError where they do not fit."""
    rank = max(len(input1.shape), len(input2.shape))
    shape1, shape2 = ((1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in (input1, input2))
    for size1, size2 in zip(shape1, shape2, strict=True):
        if size1 != size2 and 1 not in (size1, size2):
            raise view.fail("inputs: shape", f"{list(input1.shape)} and {list(input2.shape)} cannot be broadcast")
    view.expect_shape(output, tuple(max(sizes) for sizes in zip(shape1, shape2, strict=True)))
    row, *around = loops = _loops(shape1, shape2)
    return Broadcast(
        parameters=_parameters(loops),
        lead=(_lead(input1, output), _lead(input2, output)),
        rows=prod(loop.size for loop in around),
        moves_both=all(row.moves),
    )


def _lead(tensor: Tensor, output: Tensor) -> int | None:
    return IN_PLACE if tensor.elements == output.elements else None


def _loops(shape1: tuple[int, ...], shape2: tuple[int, ...]) -> list[_Loop]:
    """The loops, innermost first."""
    loops: list[_Loop] = []
    for size1, size2 in zip(reversed(shape1), reversed(shape2), strict=True):
        size, moves = max(size1, size2), (size1 > 1, size2 > 1)
        if size == 1:
            continue
        if loops and loops[-1].moves == moves:
            loops[-1] = _Loop(loops[-1].size * size, moves)
        else:
            loops.append(_Loop(size, moves))
    return loops or [_Loop(1, (True, True))]


def _parameters(loops: list[_Loop]) -> dict[str, ParameterValue]:
    row, *outer = loops
    padding = _LOOPS - len(outer)
    return {
        "row": row.size,
        "row_step1": int(row.moves[0]),
        "row_step2": int(row.moves[1]),
        "loops": len(outer),
        "size": (*(loop.size for loop in outer), *[1] * padding),
        "step1": (*_steps(loops, 0), *[0] * padding),
        "step2": (*_steps(loops, 1), *[0] * padding),
    }


def _steps(loops: list[_Loop], which: int) -> list[int]:
    """What the start of an input's row moves by at each turn of each outer loop, the inner ones rewound."""
    elements, travelled = 1, 0
    steps = []
    for position, loop in enumerate(loops):
        stride = elements if loop.moves[which] else 0
        if position > 0:
            steps.append(stride - travelled)
            travelled += (loop.size - 1) * stride
        elements *= loop.size if loop.moves[which] else 1
    return steps
