"""Fixed-point functions against real ones; their bits are compared through the operators that use them."""

import math
from math import exp

import pytest

from tinyml_sdk.ops.fixed_point import (
    ONE,
    doubling_high_multiply,
    exp_of_negative,
    logistic,
    reciprocal_of_one_plus,
    rescale,
    rounding_shift_right,
    tanh,
)


@pytest.mark.parametrize(
    ("value", "exponent", "expected"),
    [
        (5, 1, 3),
        (-5, 1, -3),
        (6, 2, 2),
        (-6, 2, -2),
        (5, 2, 1),
        (-5, 2, -1),
        (7, 0, 7),
        (2**31 - 1, 31, 1),
        (-1, 31, 0),
    ],
)
def test_shifts_round_ties_away_from_zero(value: int, exponent: int, expected: int) -> None:
    assert rounding_shift_right(value, exponent) == expected


def test_products_round_ties_up() -> None:
    assert doubling_high_multiply(1, 1 << 30) == 1
    assert doubling_high_multiply(-1, 1 << 30) == 0


@pytest.mark.parametrize("value", [-200, -1, 0, 1, 77])
def test_a_half_shifted_left_by_one_changes_nothing(value: int) -> None:
    assert rescale(value, 1 << 30, 1) == value


@pytest.mark.parametrize("integer_bits", [4, 5])
def test_exp(integer_bits: int) -> None:
    one = 2 ** (31 - integer_bits)
    for value in range(-(2**31), 0, 2**31 // 997):
        assert abs(exp_of_negative(value, integer_bits) / 2**31 - exp(value / one)) < 3e-7
    assert exp_of_negative(0, integer_bits) == ONE


def test_reciprocal() -> None:
    for value in range(0, 2**31, 2**31 // 997):
        assert abs(reciprocal_of_one_plus(value) / 2**31 - 1 / (1 + value / 2**31)) < 3e-7
    assert reciprocal_of_one_plus(0) == ONE


def test_logistic() -> None:
    for value in range(-(2**31) + 1, 2**31, 2**31 // 997):
        assert abs(logistic(value, 4) / 2**31 - 1 / (1 + exp(-value / 2**27))) < 3e-7
    assert logistic(0, 4) == 1 << 30


def test_tanh() -> None:
    for value in range(-(2**31) + 1, 2**31, 2**31 // 997):
        assert abs(tanh(value, 4) / 2**31 - math.tanh(value / 2**27)) < 3e-7
    assert tanh(0, 4) == 0
