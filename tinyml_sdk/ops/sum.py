"""SUM: the sum over any dimensions.

Semantics: tensorflow/lite/micro/kernels/reduce_common.cc and reference_ops::QuantizedMeanOrSum.
"""

from __future__ import annotations

from .arithmetic import quantize_multiplier
from .base import Layer, Operator, OpView
from .reduction import read_reduction, sum_reduction

__all__ = ["Sum"]


class Sum(Operator):
    """Inputs: int8 of any rank from 1, constant int32 axes, which may be negative and may repeat. Output: int8."""

    name = "SUM"
    versions = (1, 2)
    resolver = "AddSum"

    def lower(self, view: OpView) -> Layer:
        """MEAN's kernel, without the division."""
        reduction = read_reduction(view)
        return sum_reduction(view, reduction, *quantize_multiplier(view.activation(0).scale / view.output().scale))
