"""SLICE: a part of a tensor, from a first element on along each dimension.

Semantics: tensorflow/lite/micro/kernels/slice.cc.
"""

from __future__ import annotations

from ..graph import DType
from .base import Layer, Operator, OpView
from .strided_slice import SlicedAxis, slice_layer

__all__ = ["Slice"]

_MAX_RANK = 5
"""TFLM's limit; the last dimension is a run of the kernel's, which has four loops around it."""


class Slice(Operator):
    """Inputs: int8 of rank 1 to 5; constant int32 or int64 begin and size (rank,), -1 for all the rest. Output: int8.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "SLICE"
    versions = (1, 6)
    resolver = "AddSlice"

    def lower(self, view: OpView) -> Layer:
        """As STRIDED_SLICE, with steps of 1."""
        view.expect_counts(3)
        shape = view.activation(0).shape
        if not 1 <= len(shape) <= _MAX_RANK:
            raise view.fail("input 0: shape", f"{list(shape)} has {len(shape)} dimensions, not 1 to {_MAX_RANK}")
        begin, sizes = (self._indices(view, place, len(shape)) for place in (1, 2))
        axes = []
        for axis, (whole, start, size) in enumerate(zip(shape, begin, sizes, strict=True)):
            count = whole - start if size == -1 else size
            if not (0 <= start < whole and 1 <= count <= whole - start):
                raise view.fail("inputs", f"{size} elements from {start} on are not in axis {axis}, which has {whole}")
            axes.append(SlicedAxis(start, count, stride=1, shrunk=False))
        view.expect_shape(view.output(), tuple(axis.count for axis in axes))
        return slice_layer(view, axes)

    def _indices(self, view: OpView, place: int, rank: int) -> list[int]:
        values = view.constant(place, DType.INT32, DType.INT64)
        if values.shape != (rank,):
            raise view.fail(f"input {place}: shape", f"is {list(values.shape)}, not {[rank]}")
        return [int(value) for value in values.tolist()]
