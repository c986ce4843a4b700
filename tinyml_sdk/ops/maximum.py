"""MAXIMUM: the larger of two tensors, element by element.

Semantics: tensorflow/lite/micro/kernels/maximum_minimum.cc, MaximumOp.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .extremum import extremum_layer

__all__ = ["Maximum"]


class Maximum(Operator):
    """Inputs: two int8 tensors that broadcast, at most six dimensions. Output: int8 of the common shape.

    All have the output's scale and zero point to the bit: TFLM compares stored values and does not rescale.
    """

    name = "MAXIMUM"
    versions = (1, 4)
    resolver = "AddMaximum"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any shapes; in place over an input that is not repeated."""
        return extremum_layer(view, maximum=True)
