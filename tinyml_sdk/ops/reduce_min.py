"""REDUCE_MIN: the smallest value over any dimensions.

Semantics: tensorflow/lite/micro/kernels/reduce_common.cc, EvalMinMaxHelper.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .reduction import extremum_reduction

__all__ = ["ReduceMin"]


class ReduceMin(Operator):
    """Inputs: int8 of any rank from 1, constant int32 axes, which may be negative and may repeat. Output: int8.

    Both have one scale and zero point: TFLM refuses others.
    """

    name = "REDUCE_MIN"
    versions = (1, 3)
    resolver = "AddReduceMin"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any axes; in place."""
        return extremum_reduction(view, maximum=False)
