"""HARD_SWISH: x times a ramp from 0 at -3 to 1 at 3, x * relu6(x + 3) / 6.

Semantics: tensorflow/lite/micro/kernels/hard_swish_common.cc and reference_ops::HardSwish.
"""

from __future__ import annotations

from collections.abc import Callable

from ..graph import Tensor
from .arithmetic import quantize_multiplier
from .base import Layer, Operator, OpView
from .elementwise import table_layer
from .fixed_point import rounding_shift_right

__all__ = ["HardSwish"]

_HEADROOM_BITS = 7
"""stored - zero_point has 9 bits; this fills 16."""

_RAMP_SCALE = 3 / 2**15
"""Of the ramp's argument: 3.0 is the first number beyond 16 bits."""

_LEAST, _MOST = -(2**15), 2**15 - 1


class HardSwish(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape."""

    name = "HARD_SWISH"
    versions = (1, 1)
    resolver = "AddHardSwish"

    def lower(self, view: OpView) -> Layer:
        """A table: on the device there is nothing left of TFLM's seven steps."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        return table_layer(view, _hard_swish(view, input_, output))


def _hard_swish(view: OpView, input_: Tensor, output: Tensor) -> Callable[[int], int]:
    """From stored input to stored output, in 16-bit arithmetic as TFLM has it."""
    unit = input_.scale / 2**_HEADROOM_BITS
    value_multiplier, value_shift = _multiplier16(unit / output.scale)
    ramp_multiplier, ramp_shift = _multiplier16(unit / _RAMP_SCALE)
    # TFLM refuses the first; beyond the others its shifts leave 16 bits.
    if value_shift > 0:
        raise view.fail("quantization", f"the input's scale is over {2**_HEADROOM_BITS} times the output's")
    if value_shift < -15:
        raise view.fail("quantization", f"the output's scale is over {2 ** (15 - _HEADROOM_BITS)} times the input's")
    if not -15 <= ramp_shift <= 31:
        raise view.fail("input 0: quantization", f"scale {input_.scale:g} is not between 2^-22 and 2^24")

    def stored(value: int) -> int:
        wide = (value - input_.zero_point) << _HEADROOM_BITS
        ramp = wide
        if ramp_shift > 0:
            ramp = _saturated(ramp << (ramp_shift - 1))
        ramp = _high_multiply(ramp, ramp_multiplier)
        if ramp_shift > 0:
            ramp = _saturated(ramp << 1)
        elif ramp_shift < 0:
            ramp = rounding_shift_right(ramp, -ramp_shift)
        product = _high_multiply(wide, value_multiplier) * ((ramp + 2**15) >> 1)
        towards_zero = abs(product) >> 15 if product >= 0 else -(abs(product) >> 15)
        return rounding_shift_right(towards_zero, -value_shift) + output.zero_point

    return stored


def _multiplier16(real: float) -> tuple[int, int]:
    """As `quantize_multiplier`, with 15 bits (`DownScaleInt32ToInt16Multiplier`)."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + 2**15) >> 16, _MOST), shift


def _high_multiply(a: int, b: int) -> int:
    """The rounded high half of 2ab of 16-bit numbers, of which b is at least 0."""
    return (a * b + 2**14) >> 15


def _saturated(value: int) -> int:
    return min(max(value, _LEAST), _MOST)
