"""Outputs by two products of 32 bits: the same as TFLM's for every sum that a channel can have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyml_sdk.ops.base import Constant
from tinyml_sdk.ops.dsp.matrix import ScaledChannels
from tinyml_sdk.ops.fixed_point import rescale
from tinyml_sdk.ops.scalar.narrow_scaling import narrow_channels
from tinyml_sdk.ops.weights import FilterConstants


def layer(
    *, bias: int, weight: int, multiplier: int, shift: int, zero_point: int, clamp: tuple[int, int]
) -> FilterConstants:
    """One channel of eight equal weights."""
    return FilterConstants(
        weights=Constant("weights", np.full((1, 8), weight, np.int8)),
        bias=Constant("bias", np.array([bias], np.int32)),
        multiplier=Constant("multiplier", np.array([multiplier], np.int32)),
        shift=Constant("shift", np.array([shift], np.int8)),
        requantization={
            "output_zero_point": zero_point,
            "activation_min": clamp[0],
            "activation_max": clamp[1],
            "channel_step": 0,
            "scaling": "TINYML_SCALE_DOWN",
        },
    )


def wanted(constants: FilterConstants, sum_: int) -> int:
    requantization = constants.requantization
    scaled = rescale(sum_, int(constants.multiplier.values[0]), int(constants.shift.values[0]))
    zero_point, low, high = (
        int(str(requantization[key])) for key in ("output_zero_point", "activation_min", "activation_max")
    )
    return min(max(scaled + zero_point, low), high)


def computed(constants: FilterConstants, channels: ScaledChannels, sum_: int) -> int:
    """As the kernel computes it, in 32 bits, from the six bytes of the channel."""
    if not channels.weights.any():  # of a channel with but one output
        sum_ = int(channels.bias[0])
    word, (span, rest) = int(channels.scale[0, 0]) & 0xFFFFFFFF, channels.shift[0].tolist()
    exponent, factor = word & 15, word >> ((word & 15) - 2)
    zero_point, least, most = (
        int(str(constants.requantization[key])) for key in ("output_zero_point", "activation_min", "activation_max")
    )
    products = [(bound - zero_point) * ((256 + (span & 0xFF)) << exponent) for bound in (least, most)]
    limited = min(max(sum_, products[0] >> 8), products[1] >> 8)
    offset = (zero_point << 22) + (1 << 21) + (1 << 21 >> exponent) + rest
    lower, upper = limited * (factor & 0xFFF), limited * (factor >> 12)
    total = upper + (lower >> 12) + offset
    assert all(-(2**31) <= value < 2**31 for value in (*products, lower, upper, upper + (lower >> 12), total))
    return total >> 22


@settings(max_examples=60)
@given(
    bias=st.integers(-(2**20), 2**20) | st.integers(-3000, 3000),
    weight=st.integers(-128, 127),
    multiplier=st.integers(2**30, 2**31 - 1) | st.sampled_from([2**30, 2**30 + 2**29]),
    shift=st.integers(-14, -1),
    zero_point=st.just(-128) | st.integers(-128, 127),
    clamp=st.sampled_from([(-128, 127), (-100, 20), (0, 127), (5, 5)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_tflm_for_every_sum(
    bias: int, weight: int, multiplier: int, shift: int, zero_point: int, clamp: tuple[int, int], seed: int
) -> None:
    constants = layer(bias=bias, weight=weight, multiplier=multiplier, shift=shift, zero_point=zero_point, clamp=clamp)
    channels = narrow_channels(constants)
    if channels is None:
        return
    reach = 8 * 128 * abs(weight)
    rng = np.random.default_rng(seed)
    tried = {bias - reach, bias + reach, *rng.integers(bias - reach, bias + reach + 1, 200).tolist()}
    # Around where outputs change, ties among them.
    for output in rng.integers(-130, 130, 60).tolist():
        near = round((output - 0.5 - zero_point) * 2.0 ** (31 - shift) / multiplier)
        tried |= {sum_ for sum_ in range(near - 2, near + 3) if abs(sum_ - bias) <= reach}
    for sum_ in tried:
        assert computed(constants, channels, sum_) == wanted(constants, sum_), sum_


@pytest.mark.parametrize(
    ("change", "exact"),
    [
        ({}, True),
        ({"shift": -9, "multiplier": 2**30}, True),  # many ties
        ({"zero_point": 3}, False),  # ties round down below zero, and up above
        ({"shift": 1}, False),  # scaled up
        ({"shift": -1, "multiplier": 2**31 - 1}, False),  # a factor of more than 31 bits
        ({"shift": -13, "bias": 2**22}, True),  # beyond the reach, but all of it is 127
        ({"shift": -15, "bias": 2**21}, False),  # beyond it, and not
        ({"shift": -30, "bias": 2**30}, True),  # a dead filter: one output for all sums
    ],
)
def test_where_it_is_exact(change: dict[str, int], exact: bool) -> None:
    numbers = {"bias": 100, "weight": 90, "multiplier": 1_600_000_000, "shift": -7, "zero_point": -128, **change}
    constants = layer(clamp=(-128, 127), **numbers)
    channels = narrow_channels(constants)
    assert (channels is not None) == exact
    if channels is not None:
        for sum_ in range(numbers["bias"] - 92_000, numbers["bias"] + 92_000, 37):
            assert computed(constants, channels, sum_) == wanted(constants, sum_)
