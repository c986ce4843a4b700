"""MEAN: the mean over any dimensions.

Semantics: tensorflow/lite/micro/kernels/reduce_common.cc and reference_ops::QuantizedMeanOrSum.
"""

from __future__ import annotations

from .arithmetic import quantize_multiplier
from .base import Layer, Operator, OpView
from .reduction import read_reduction, sum_reduction

__all__ = ["Mean"]


class Mean(Operator):
    """Inputs: int8 of any rank from 1, constant int32 axes. Output: int8.

    Axes may be negative and may repeat. For int8 TFLM has one path for all axes (1 and 2 of four are special in float
    only): the sum, less the zero points, times a multiplier that holds the scales and the number of elements.
    """

    name = "MEAN"
    versions = (1, 3)
    resolver = "AddMean"

    def lower(self, view: OpView) -> Layer:
        """The scales' multiplier is divided by the number of elements, with as many bits as TFLM keeps of it."""
        reduction = read_reduction(view)
        multiplier, shift = quantize_multiplier(view.activation(0).scale / view.output().scale)
        extra = min(reduction.elements.bit_length() - 1, 32, 31 + shift)
        return sum_reduction(view, reduction, (multiplier << extra) // reduction.elements, shift - extra)
