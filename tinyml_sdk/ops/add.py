"""ADD: the sum of two tensors.

Semantics: tensorflow/lite/micro/kernels/add_common.cc and reference_integer_ops::AddElementwise, AddFunc.
"""

from __future__ import annotations

from .addition import sum_layer
from .base import Layer, Operator, OpView

__all__ = ["Add"]


class Add(Operator):
    """Inputs: two int8 tensors that broadcast, at most six dimensions. Output: int8 of the common shape."""

    name = "ADD"
    versions = (1, 5)
    resolver = "AddAdd"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any shapes; in place over an input that is not repeated."""
        return sum_layer(view, subtract=False)
