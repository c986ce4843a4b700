"""LOGISTIC: the sigmoid function, 1 / (1 + exp(-x)).

Semantics: tensorflow/lite/micro/kernels/logistic_common.cc and reference_integer_ops::Logistic.
"""

from __future__ import annotations

from math import floor, frexp

from .base import Layer, Operator, OpView
from .elementwise import table_layer
from .fixed_point import logistic, rescale, rounding_shift_right

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
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        if (output.scale, output.zero_point) != (1 / 256, -128):
            # TFLM checks the zero point only, and gives the same bytes for any scale.
            raise view.fail(
                "output 0: quantization",
                f"scale {output.scale:g} and zero point {output.zero_point} are not 1/256 and -128",
            )
        # Inputs become Q4.27. TFLM's shift is undefined for scales outside these.
        fraction, shift = frexp(input_.scale * 2 ** (31 - _INTEGER_BITS))
        if not 0 <= shift <= 62:
            raise view.fail("input 0: quantization", f"scale {input_.scale:g} is not between 2^-27 and 2^35")
        multiplier = int(fraction * 2**31)  # exact: a float32 has 24 bits
        limit = floor((2**_INTEGER_BITS - 1) * 2 ** (31 - _INTEGER_BITS) / 2**shift)

        def function(stored: int) -> int:
            value = stored - input_.zero_point
            if abs(value) >= limit:
                return 127 if value > 0 and value >= limit else -128
            return rounding_shift_right(logistic(rescale(value, multiplier, shift), _INTEGER_BITS), 31 - 8) - 128

        return table_layer(view, function)
