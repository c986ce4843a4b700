"""From sums to outputs without a product of more than 32 bits, and the proof that it gives TFLM's bytes.

TFLM's scaling of a sum never falls as the sum grows, so that it is known by the least sum of each output: at most 255
thresholds. Any formula that never falls either, and agrees on both sides of every threshold, is the same function.
The kernels for Armv6-M (`kernels/scalar/tinyml_scalar.h`, TINYML_SCALAR_NARROW) limit a sum to where its
outputs differ and scale it with two products of 32 bits, in half of the instructions of an exact product of 64. One
offset seldom serves outputs of both signs, as TFLM rounds ties away from zero; layers with ReLU have but one.

Six bytes of a channel say it all: its factor and exponent in a word, the sums that an output spans in a byte, from
which the limits follow, and in another byte how far the offset is from what the exponent lets expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..dsp.matrix import ScaledChannels, sum_bounds
from ..weights import FilterConstants

__all__ = ["NarrowScale", "narrow_channels"]

Int64 = npt.NDArray[np.int64]

_REACH = 1 << 19
"""Sums are limited to less than this, so that a product with the lower part of a factor fits 32 bits."""

_LOWER_BITS, _FRACTION = 12, 22  # TINYML_SCALAR_LOWER_BITS, TINYML_SCALAR_NARROW_FRACTION
_NEVER = 2**40
"""Beyond any offset."""

_EXPONENT_MASK = 0xF
"""TINYML_SCALAR_EXPONENT_BITS of a word: below exponents of 6 they are bits of the factor, too."""

_LEAST_EXPONENT, _GREATEST_EXPONENT = 3, 13
"""Between which factors and limits fit 32 bits."""

_CONSTANT_BITS = 8
"""Of the sums of a channel with but one output, those below an output."""

_SPAN_BITS = 8
"""TINYML_SCALAR_SPAN_BITS: of 2^exponent to 2^(exponent + 1) sums that an output spans, kept behind the first."""


@dataclass(frozen=True, eq=False)
class NarrowScale:
    """The constants of a layer's channels, as int64 of shape (channels,). One output is a unit of 2^22.

    Attributes:
        words: uint32, whose lowest bits are an exponent: TFLM's scale is multiplier / 2^(31 + exponent). Shifted right
            by exponent - 2, they are the factor, the scale in units of 2^-34.
        span: Sums of an output, in units of 2^-8: of the nine bits above 2^exponent the first is always set.
        offset: Less the zero point, a half and 2^-(exponent + 1), which rounding twice makes of it: int8.
    """

    words: Int64
    span: Int64
    offset: Int64

    @property
    def bytes(self) -> npt.NDArray[np.int8]:
        """(channels, 2): spans and offsets."""
        span = (self.span >> (self.words & _EXPONENT_MASK)) & ((1 << _SPAN_BITS) - 1)
        return np.stack([span.astype(np.uint8).view(np.int8), self.offset.astype(np.int8)], axis=1)


def narrow_channels(constants: FilterConstants) -> ScaledChannels | None:
    """The channels of a layer with the constants of `NarrowScale`, or None where one has none.

    Args:
        constants: With the input's zero point in the bias.
    """
    weights = constants.weights.values.astype(np.int64)
    bias = constants.bias.values.astype(np.int64)
    count = len(weights)
    multiplier = np.resize(constants.multiplier.values.astype(np.int64), count)
    shift = np.resize(constants.shift.values.astype(np.int64), count)
    if shift.max() > 0:
        return None
    scaling = _Scaling(multiplier, -shift, constants.requantization)
    least, most = sum_bounds(weights, bias)
    outputs = scaling(np.stack([least, most], axis=1))
    # A channel whose output never changes: no products, and a bias that is scaled to this output.
    constant = outputs[:, 0] == outputs[:, 1]
    weights = np.where(constant[:, None], 0, weights)
    bias = np.where(constant, (outputs[:, 0] - scaling.zero_point) << _CONSTANT_BITS, bias)
    scaling = scaling.with_simple(constant)
    scale = _scale(scaling, np.where(constant, bias, least), np.where(constant, bias, most))
    if scale is None:
        return None
    return ScaledChannels("narrow", weights, bias, scale.words.astype(np.uint32).view(np.int32)[:, None], scale.bytes)


class _Scaling:
    """TFLM's outputs of sums, for all channels at once."""

    def __init__(self, multiplier: Int64, exponent: Int64, requantization: Mapping[str, object]) -> None:
        self.multiplier, self.exponent = multiplier[:, None], exponent[:, None]
        self.requantization = requantization
        self.zero_point, self.low, self.high = (
            int(str(requantization[key])) for key in ("output_zero_point", "activation_min", "activation_max")
        )

    def with_simple(self, which: npt.NDArray[np.bool_]) -> _Scaling:
        """The same, with a scale of 2^-8 for some channels."""
        multiplier = np.where(which, 1 << 30, self.multiplier[:, 0])
        exponent = np.where(which, _CONSTANT_BITS - 1, self.exponent[:, 0])
        return _Scaling(multiplier, exponent, self.requantization)

    def __call__(self, sums: Int64) -> Int64:
        """Outputs of sums, (channels, any number): `MultiplyByQuantizedMultiplier` with both of its roundings."""
        high = (sums * self.multiplier + (1 << 30)) >> 31
        mask = (np.int64(1) << self.exponent) - 1
        scaled = (high >> self.exponent) + ((high & mask) > (mask >> 1) + (high < 0))
        outputs: Int64 = np.clip(scaled + self.zero_point, self.low, self.high)
        return outputs

    def thresholds(self, low: Int64, high: Int64) -> Int64:
        """The least sum above low of each output above the least one; high + 1 where there is none."""
        outputs = np.arange(self.low + 1, self.high + 1)[None]
        below = np.broadcast_to(low[:, None], (len(low), outputs.shape[1]))
        above = np.broadcast_to(high[:, None] + 1, below.shape)
        while (above - below > 1).any():
            middle = (below + above) >> 1
            reached = self(middle) >= outputs
            above, below = np.where(reached, middle, above), np.where(reached, below, middle)
        return above


def _scale(scaling: _Scaling, least: Int64, most: Int64) -> NarrowScale | None:
    """Constants that give TFLM's outputs for all sums from `least` to `most`, or None."""
    multiplier, exponent = scaling.multiplier[:, 0], scaling.exponent[:, 0]
    if exponent.min() < _LEAST_EXPONENT or exponent.max() > _GREATEST_EXPONENT:
        return None
    ideal = np.rint(multiplier * 2.0 ** (_FRACTION + _LOWER_BITS - 31 - exponent)).astype(np.int64)
    words = np.minimum(ideal << (exponent - 2), 2**32 - 1) & ~_EXPONENT_MASK | exponent
    factor = words >> (exponent - 2)
    first = 1 << _SPAN_BITS
    span = np.clip(np.rint(first * 2.0**31 / multiplier), first, 2 * first - 1).astype(np.int64) << exponent
    bounds = np.array([scaling.low, scaling.high]) - scaling.zero_point
    ends: Int64 = np.clip((bounds * span[:, None]) >> _SPAN_BITS, least[:, None], most[:, None])
    low, high = ends[:, 0], ends[:, 1]
    outputs = scaling(ends)
    if low.min() < -_REACH or high.max() >= _REACH or (outputs != scaling(np.stack([least, most], axis=1))).any():
        return None

    def scaled(sums: Int64) -> Int64:
        products: Int64 = factor[:, None] * sums
        return products >> _LOWER_BITS

    # What the offset has to be for both ends, and on both sides of each threshold between them.
    unit = 1 << _FRACTION
    at_least, at_most = outputs * unit - scaled(ends), (outputs + 1) * unit - 1 - scaled(ends)
    thresholds = scaling.thresholds(low, high)
    above = np.arange(scaling.low + 1, scaling.high + 1) * unit
    is_there = (thresholds <= high[:, None]) & (above > outputs[:, :1] * unit)
    from_above = np.where(is_there, above - scaled(thresholds), -_NEVER)
    from_below = np.where(is_there, above - 1 - scaled(thresholds - 1), _NEVER)
    at_least = np.maximum(at_least.max(axis=1), from_above.max(axis=1, initial=-_NEVER))
    at_most = np.minimum(at_most.min(axis=1), from_below.min(axis=1, initial=_NEVER))
    expected = (scaling.zero_point << _FRACTION) + (unit >> 1) + (unit >> (exponent + 1))
    offset = np.clip(0, at_least - expected, at_most - expected)
    if (at_least > at_most).any() or np.abs(offset).max() > 127:
        return None
    return NarrowScale(words, span, offset)
