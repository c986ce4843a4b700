"""SUB: the difference of two tensors.

Semantics: tensorflow/lite/micro/kernels/sub_common.cc and reference_ops::SubElementwise, BroadcastQuantSubSlow.
"""

from __future__ import annotations

from .addition import sum_layer
from .base import Layer, Operator, OpView

__all__ = ["Sub"]


class Sub(Operator):
    """Inputs: two int8 tensors that broadcast, at most six dimensions. Output: int8 of the common shape."""

    name = "SUB"
    versions = (1, 5)
    resolver = "AddSub"

    def lower(self, view: OpView) -> Layer:
        """ADD's kernel, with the second input taken away."""
        return sum_layer(view, subtract=True)
