"""From sums to outputs without a product of more than 32 bits, and the proof that it gives TFLM's bytes.

TFLM's scaling of a sum never falls as the sum grows, so that it is known by the least sum of each output: at most 255
thresholds. Any formula that never falls either, and agrees on both sides of every threshold, is the same function.
The kernels for Armv6-M (`kernels/scalar/tinyml_scalar.h`, TINYML_SCALAR_NARROW) limit a sum to where its
outputs differ and scale it with two products of 32 bits, in half of the instructions of an exact product of 64. One
offset seldom serves outputs of both signs, as TFLM rounds ties away from zero; layers with ReLU have but one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..dsp.matrix import ScaledChannels, sum_bounds
from ..weights import FilterConstants

__all__ = ["narrow_channels"]

Int64 = npt.NDArray[np.int64]

_REACH = 1 << 19
"""Sums are limited to less than this, so that a product with the lower part of a factor fits 32 bits."""

_LOWER_BITS, _FRACTION = 12, 22  # TINYML_SCALAR_LOWER_BITS, TINYML_SCALAR_NARROW_FRACTION
_LARGEST_FACTOR = 2**31
_NEVER = 2**40
"""Beyond any offset."""


def narrow_channels(constants: FilterConstants) -> ScaledChannels | None:
    """The channels of a layer with the constants {low, high, factor, offset} of each, or None where one has none.

    An output is (factor * sum / 2^12 + offset) >> 22 of the sum, limited to low and high.

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
    table = _table(scaling, least, most)
    if table is None:
        return None
    return ScaledChannels("narrow", weights, bias, table.astype(np.int32), np.zeros(count, np.int8))


class _Scaling:
    """TFLM's outputs of sums, for all channels at once."""

    def __init__(self, multiplier: Int64, exponent: Int64, requantization: Mapping[str, object]) -> None:
        self.multiplier, self.exponent = multiplier[:, None], exponent[:, None]
        self.zero_point, self.low, self.high = (
            int(str(requantization[key])) for key in ("output_zero_point", "activation_min", "activation_max")
        )

    def __call__(self, sums: Int64) -> Int64:
        """Outputs of sums, (channels, any number): `MultiplyByQuantizedMultiplier` with both of its roundings."""
        high = (sums * self.multiplier + (1 << 30)) >> 31
        mask = (np.int64(1) << self.exponent) - 1
        scaled = (high >> self.exponent) + ((high & mask) > (mask >> 1) + (high < 0))
        outputs: Int64 = np.clip(scaled + self.zero_point, self.low, self.high)
        return outputs

    def thresholds(self, count: int) -> Int64:
        """The least sum in [-_REACH, _REACH) of each output above the least one; _REACH where there is none."""
        outputs = np.arange(self.low + 1, self.high + 1)[None]
        below = np.full((count, outputs.shape[1]), -_REACH - 1, np.int64)
        above = np.full_like(below, _REACH)
        while (above - below > 1).any():
            middle = (below + above) >> 1
            reached = self(middle) >= outputs
            above, below = np.where(reached, middle, above), np.where(reached, below, middle)
        return above


def _table(scaling: _Scaling, least: Int64, most: Int64) -> Int64 | None:
    count = len(least)
    ends = np.stack([least, most], axis=1)
    constant = scaling(ends)
    is_constant = constant[:, 0] == constant[:, 1]
    thresholds = scaling.thresholds(count)
    outputs = np.arange(scaling.low + 1, scaling.high + 1)
    # The sums between which outputs differ; beyond the reach no sum of the channel may be that decides.
    low = np.maximum(thresholds.min(axis=1, initial=_REACH) - 1, -_REACH)
    high = np.minimum(thresholds.max(axis=1, initial=-_REACH), _REACH - 1)
    edges = scaling(np.stack([low, high], axis=1))
    fits = ((least >= -_REACH) | (edges[:, 0] == scaling.low)) & ((most < _REACH) | (edges[:, 1] == scaling.high))
    factor = np.rint(scaling.multiplier[:, 0] * 2.0 ** (_FRACTION + _LOWER_BITS - 31 - scaling.exponent[:, 0]))
    factor = np.where(is_constant, 0, factor).astype(np.int64)
    if not (fits | is_constant).all() or factor.max() >= _LARGEST_FACTOR:
        return None

    def scaled(sums: Int64) -> Int64:
        return (factor[:, None] * sums) >> _LOWER_BITS

    unit = 1 << _FRACTION
    reached, falls_short = thresholds < _REACH, thresholds > -_REACH
    edge_sums = scaled(np.stack([low, high], axis=1))
    at_least = np.where(reached, outputs * unit - scaled(np.minimum(thresholds, _REACH - 1)), -_NEVER)
    at_least = np.maximum(at_least.max(axis=1, initial=-_NEVER), (edges * unit - edge_sums).max(axis=1))
    at_most = np.where(falls_short, outputs * unit - 1 - scaled(thresholds - 1), _NEVER)
    at_most = np.minimum(at_most.min(axis=1, initial=_NEVER), ((edges + 1) * unit - 1 - edge_sums).min(axis=1))
    offset = (at_least + at_most) >> 1
    offset = np.where(is_constant, constant[:, 0] * unit, offset)
    low, high = (np.where(is_constant, 0, bound) for bound in (low, high))
    has_room = np.abs(edge_sums + offset[:, None]).max(axis=1) < 2**31
    has_room &= np.abs(edge_sums).max(axis=1) < 2**31 - 2**20
    if not (is_constant | ((at_least <= at_most) & has_room & (np.abs(offset) < 2**31))).all():
        return None
    return np.stack([low, high, factor, offset], axis=1)
