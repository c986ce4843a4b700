"""LOGISTIC: the sigmoid function, 1 / (1 + exp(-x)).

Semantics: tensorflow/lite/micro/kernels/logistic_common.cc and reference_integer_ops::Logistic.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .elementwise import sigmoid_like, table_layer
from .fixed_point import logistic, rounding_shift_right

__all__ = ["Logistic"]

_INTEGER_BITS = 4


class Logistic(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape, scale 1/256 and zero point -128."""

    name = "LOGISTIC"
    versions = (1, 3)
    resolver = "AddLogistic"

    def lower(self, view: OpView) -> Layer:
        """A table: 256 bytes, where exp and a division in fixed point would be more code."""
        view.expect_counts(1)
        return table_layer(
            view,
            sigmoid_like(
                view,
                integer_bits=_INTEGER_BITS,
                output=(1 / 256, -128),
                function=lambda value: rounding_shift_right(logistic(value, _INTEGER_BITS), 31 - 8) - 128,
            ),
        )
