"""TFLite's fixed-point arithmetic, the part of it that runs on the host.

Every requantization constant is computed here, so that the device never touches floating point; its half is
`firmware_templates/kernels/tinyml_arithmetic.h`. Float32 steps are float32 here too, as results must equal TFLM's to
the bit.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "quantize_multiplier",
    "quantize_value",
    "round_half_away",
]


def round_half_away(value: float) -> int:
    """C's `round`: the nearest integer, ties away from zero. Exact for |value| < 2^52."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """A positive real factor as (multiplier, shift): real = multiplier / 2^31 x 2^shift.

    The multiplier is 0 or in [2^30, 2^31); a factor under about 2^-32 becomes 0, as in `QuantizeMultiplier`
    (tensorflow/lite/kernels/internal/quantization_util.cc). A positive shift goes left.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def quantize_value(value: float, scale: float, zero_point: int) -> int:
    """A real constant in a tensor's integers, unclamped: float32 division, ties away from zero (kernel_util.cc)."""
    return zero_point + round_half_away(float(np.float32(value) / np.float32(scale)))
