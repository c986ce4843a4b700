"""TANH: the hyperbolic tangent.

Semantics: tensorflow/lite/micro/kernels/tanh.cc and reference_integer_ops::Tanh.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .elementwise import sigmoid_like, table_layer
from .fixed_point import rounding_shift_right, tanh

__all__ = ["Tanh"]

_INTEGER_BITS = 4


class Tanh(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape, scale 1/128 and zero point 0."""

    name = "TANH"
    versions = (1, 3)
    resolver = "AddTanh"

    def lower(self, view: OpView) -> Layer:
        """A table, as for LOGISTIC."""
        view.expect_counts(1)
        return table_layer(
            view,
            sigmoid_like(
                view,
                integer_bits=_INTEGER_BITS,
                output=(1 / 128, 0),
                function=lambda value: rounding_shift_right(tanh(value, _INTEGER_BITS), 31 - 7),
            ),
        )
