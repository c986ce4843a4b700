"""Fixed-point functions that only the host evaluates, to fill tables: gemmlowp's exp, logistic and tanh.

Results must equal TFLM's to the bit, so every step rounds as `gemmlowp/fixedpoint/fixedpoint.h` does. Qm.n stands for a
32-bit integer with m integer bits, n fractional bits and a sign; m + n = 31. Python's integers do not overflow, and
within the stated ranges neither do gemmlowp's.
"""

from __future__ import annotations

__all__ = [
    "ONE",
    "doubling_high_multiply",
    "exp_of_negative",
    "logistic",
    "reciprocal_of_one_plus",
    "rescale",
    "rounding_shift_right",
    "tanh",
]

ONE = 2**31 - 1
"""1.0 as Q0.31: the nearest value there is."""

_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883
_EXP_OF_MINUS_POWER = (
    (-2, 1672461947),  # exponent, exp(-2^exponent) as Q0.31
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)

# 48/17 and -32/17 as Q2.29: the first guess of Newton's division, and its 1.0.
_GUESS_AT_ZERO, _GUESS_SLOPE, _NEWTON_ONE = 1515870810, -1010580540, 1 << 29


def doubling_high_multiply(a: int, b: int) -> int:
    """The rounded product of two Q0.31 numbers (`SaturatingRoundingDoublingHighMul`; not both -1)."""
    return (a * b + (1 << 30)) >> 31


def rounding_shift_right(value: int, exponent: int) -> int:
    """value / 2^exponent, to nearest, ties away from zero (`RoundingDivideByPOT`)."""
    mask = (1 << exponent) - 1
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0))


def rescale(value: int, multiplier: int, shift: int) -> int:
    """value x multiplier / 2^31 x 2^shift with two roundings (`MultiplyByQuantizedMultiplier`, common.cc)."""
    if shift > 0:
        return doubling_high_multiply(value << shift, multiplier)
    return rounding_shift_right(doubling_high_multiply(value, multiplier), -shift)


def exp_of_negative(value: int, integer_bits: int) -> int:
    """exp of a number <= 0 given with up to 5 integer bits, as Q0.31 (`exp_on_negative_values`)."""
    if value == 0:
        return ONE
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    # value = part - remainder, with part in [-1/4, 0) and the remainder a multiple of 1/4.
    part = (value & (quarter - 1)) - quarter
    remainder = part - value
    result = _exp_of_last_quarter(part << integer_bits)
    for exponent, factor in _EXP_OF_MINUS_POWER:
        if integer_bits > exponent and remainder & (1 << (fractional_bits + exponent)):
            result = doubling_high_multiply(result, factor)
    return result


def _exp_of_last_quarter(value: int) -> int:
    """exp of a Q0.31 number in [-1/4, 0): four terms of Taylor's series around -1/8."""
    x = value + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4 = doubling_high_multiply(x2, x2)
    cubic = doubling_high_multiply(rounding_shift_right(x4, 2) + x3, _THIRD)
    series = x + rounding_shift_right(cubic + x2, 1)
    return _EXP_MINUS_EIGHTH + doubling_high_multiply(_EXP_MINUS_EIGHTH, series)


def reciprocal_of_one_plus(value: int) -> int:
    """1 / (1 + x) for a Q0.31 number in [0, 1], as Q0.31 (`one_over_one_plus_x_for_x_in_0_1`)."""
    return min(2 * _double_reciprocal_of_one_plus(value), ONE)


def _double_reciprocal_of_one_plus(value: int) -> int:
    """2 / (1 + x) as Q2.29, by three steps of Newton's division."""
    half = (value + 2**31) >> 1
    guess = _GUESS_AT_ZERO + doubling_high_multiply(half, _GUESS_SLOPE)
    for _ in range(3):
        error = _NEWTON_ONE - doubling_high_multiply(half, guess)
        guess += 4 * doubling_high_multiply(guess, error)
    return guess


def logistic(value: int, integer_bits: int) -> int:
    """1 / (1 + exp(-x)) of a number given with up to 5 integer bits, as Q0.31."""
    if value == 0:
        return 1 << 30
    positive = reciprocal_of_one_plus(exp_of_negative(-abs(value), integer_bits))
    return positive if value > 0 else ONE - positive


def tanh(value: int, integer_bits: int) -> int:
    """tanh(x) of a number given with up to 4 integer bits, as Q0.31: (1 - e) / (1 + e) with e = exp(-2 |x|)."""
    if value == 0:
        return 0
    exp = exp_of_negative(-abs(value), integer_bits + 1)
    positive = min(4 * (_double_reciprocal_of_one_plus(exp) - _NEWTON_ONE), ONE)
    return positive if value > 0 else -positive
