"""STRIDED_SLICE: every so many elements of each dimension, such as the last step of a sequence.

Semantics: tensorflow/lite/micro/kernels/strided_slice.cc, strided_slice_common.cc and reference_ops::StridedSlice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import IN_PLACE

__all__ = ["SlicedAxis", "StridedSlice", "slice_layer"]

_MAX_RANK = 4
"""TFLM's limit, and the kernel's."""


@dataclass(frozen=True)
class SlicedAxis:
    """Of one dimension: the first element taken, how many, and how far apart."""

    start: int
    count: int
    stride: int
    shrunk: bool


class StridedSlice(Operator):
    """Inputs: int8 of rank 1 to 4; constant int32 begin, end and strides (rank,). Output: int8, shrunk axes left out.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "STRIDED_SLICE"
    versions = (1, 8)
    resolver = "AddStridedSlice"

    def lower(self, view: OpView) -> Layer:
        """Dimensions taken whole become runs of bytes, so that one row of a matrix is one copy."""
        view.expect_counts(4)
        input_ = view.activation(0)
        output = view.output()
        for option in ("ellipsis_mask", "new_axis_mask", "offset"):
            if view.op.options[option]:
                raise view.fail(option, "is not supported")
        axes = _axes(view, input_)
        view.expect_shape(output, tuple(axis.count for axis in axes if not axis.shrunk))
        return slice_layer(view, axes)


def slice_layer(view: OpView, axes: Sequence[SlicedAxis]) -> Layer:
    """The layer that takes so many elements of each dimension of input 0; for SLICE too."""
    shape = view.activation(0).shape
    spans = [prod(shape[place + 1 :]) for place in range(len(axes))]
    start = sum(axis.start * span for axis, span in zip(axes, spans, strict=True))
    loops = [(axis.count, axis.stride * span) for axis, span in zip(axes, spans, strict=True) if axis.count > 1]
    run = 1
    while loops and loops[-1][1] == run:
        run *= loops.pop()[0]
    loops = [(1, 0)] * (_MAX_RANK - len(loops)) + loops
    parameters = Parameters(
        "tinyml_strided_slice_params",
        {
            "start": start,
            "sizes": tuple(size for size, _ in loops),
            "steps": tuple(step for _, step in loops),
            "run": run,
        },
    )
    forwards = all(step >= 0 for _, step in loops)
    return Layer(
        op=view.op,
        kernel="tinyml_strided_slice",
        header="strided_slice.h",
        arguments=(parameters, Input(0), Output()),
        shared=True,
        lead=(IN_PLACE if forwards else None,),
        is_copy=run == prod(shape),
    )


def _axes(view: OpView, input_: Tensor) -> list[SlicedAxis]:
    rank = len(input_.shape)
    if not 1 <= rank <= _MAX_RANK:
        raise view.fail("input 0: shape", f"{list(input_.shape)} has {rank} dimensions, not 1 to {_MAX_RANK}")
    begin, end, strides = (_indices(view, place, rank) for place in (1, 2, 3))
    axes = []
    for place, size in enumerate(input_.shape):
        stride = strides[place]
        if stride == 0:
            raise view.fail("input 3", f"the stride of axis {place} is 0")
        shrunk = _masked(view, "shrink_axis_mask", place)
        first, last = (0, size) if stride > 0 else (-1, size - 1)
        start = _position(begin[place], size, first, last)
        if _masked(view, "begin_mask", place):
            start = 0 if stride > 0 else size - 1
        if shrunk:
            stop, stride = start + 1, 1
        elif _masked(view, "end_mask", place):
            stop = size if stride > 0 else -1
        else:
            stop = _position(end[place], size, first, last)
        count = len(range(start, stop, stride))
        if count == 0 or not 0 <= start < size:
            raise view.fail("inputs", f"the slice of axis {place} is empty")
        axes.append(SlicedAxis(start, count, stride, shrunk))
    return axes


def _indices(view: OpView, place: int, rank: int) -> list[int]:
    values = view.constant(place, DType.INT32)
    if values.shape != (rank,):
        raise view.fail(f"input {place}: shape", f"is {list(values.shape)}, not {[rank]}")
    return [int(value) for value in values.tolist()]


def _masked(view: OpView, option: str, place: int) -> bool:
    return bool(view.integer(option, -(2**31), 2**31 - 1) >> place & 1)


def _position(index: int, size: int, first: int, last: int) -> int:
    """An index, counted from the end if negative, within bounds."""
    return min(max(index + size if index < 0 else index, first), last)
