"""SPLIT_V: a tensor cut along an axis into parts of given sizes.

Semantics: tensorflow/lite/micro/kernels/split_v.cc.
"""

from __future__ import annotations

from ..graph import DType
from .base import Layer, Operator, OpView
from .split import split_axis, split_layer

__all__ = ["SplitV"]


class SplitV(Operator):
    """Inputs: int8, constant int32 sizes, of which one may be -1 for the rest, and axis. Outputs: int8."""

    name = "SPLIT_V"
    versions = (1, 2)
    resolver = "AddSplitV"

    def lower(self, view: OpView) -> Layer:
        """See `split_layer`."""
        count = len(view.op.outputs)
        view.expect_counts(3, count)
        axis = split_axis(view, value=0, axis=2)
        whole = view.activation(0).shape[axis]
        sizes = [int(size) for size in view.constant(1, DType.INT32).reshape(-1).tolist()]
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = whole - (sum(sizes) + 1)
        if len(sizes) != count or min(sizes, default=0) < 1 or sum(sizes) != whole:
            raise view.fail("input 1", f"sizes {sizes} do not cut {whole} elements into {count} parts")
        return split_layer(view, 0, axis, sizes)
