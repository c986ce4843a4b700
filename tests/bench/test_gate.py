"""The checks that a result must pass, and what they say."""

from dataclasses import replace

import pytest
from support.results import made_up_result

from tinyml_sdk.bench.comparison import compare_results
from tinyml_sdk.bench.gate import Limits, check_bit_exact, check_growth, check_limits, parse_percentage
from tinyml_sdk.bench.result import Check
from tinyml_sdk.errors import CheckError, FitError, InputError, MismatchError, RegressionError

RESULT = made_up_result()  # 36,100 instructions, 15,546 bytes of flash, 3,000 of RAM


def test_the_first_layer_that_goes_wrong_is_named():
    check_bit_exact(RESULT)
    wrong = replace(RESULT, check=Check("tflite-micro", 8, False, 1_200, 3, 2))
    with pytest.raises(MismatchError, match=r"1,200 output elements over 8 inputs .* at most 3, first in layer 2 \("):
        check_bit_exact(wrong)


def test_where_it_cannot_be_told_no_layer_is_named():
    wrong = replace(RESULT, check=Check("host", 8, False, 1, 1, None))
    with pytest.raises(MismatchError, match=r"at most 1$"):
        check_bit_exact(wrong)


def test_costs_at_their_limits_pass():
    check_limits(RESULT, Limits())
    check_limits(RESULT, Limits(instructions=36_100, flash=15_546, ram=3_000))


def test_flash_and_ram_over_their_limits_are_both_named():
    with pytest.raises(FitError) as caught:
        check_limits(RESULT, Limits(flash=15_000, ram=2_999))
    assert "flash 15,546 bytes, over the limit of 15,000 by 546" in caught.value.message
    assert "RAM 3,000 bytes, over the limit of 2,999 by 1" in caught.value.message


def test_too_slow_names_the_layer_that_costs_the_most():
    with pytest.raises(CheckError, match=r"36,100 instructions, over the limit of 36,000 by 100.*SOFTMAX\): 8,000"):
        check_limits(RESULT, Limits(instructions=36_000))


def test_each_limit_holds_where_its_unit_is_counted():
    check_limits(RESULT, Limits(instructions=40_000, cycles=1))
    with pytest.raises(InputError, match="counts instructions, and there is no limit for them"):
        check_limits(RESULT, Limits(cycles=1))
    on_a_board = replace(RESULT, counter="cycles")
    with pytest.raises(CheckError, match="36,100 cycles"):
        check_limits(on_a_board, Limits(instructions=40_000, cycles=1))


def test_growth_is_by_more_than_allowed():
    slower = replace(RESULT, per_inference=replace(RESULT.per_inference, median=36_822))
    comparison = compare_results(RESULT, slower)
    check_growth(comparison, 0.02)
    with pytest.raises(RegressionError, match=r"more than 1.9 %: instructions 36,100 -> 36,822 \(\+2.0%\)"):
        check_growth(comparison, 0.019)


@pytest.mark.parametrize(("text", "fraction"), [("2%", 0.02), (" 2 ", 0.02), ("0", 0.0), ("1000", 10.0)])
def test_percentages(text, fraction):
    assert parse_percentage(text) == pytest.approx(fraction)


@pytest.mark.parametrize("text", ["x", "-1", "", "nan%", "2%%", "1001"])
def test_what_is_no_percentage(text):
    with pytest.raises(InputError, match="is not a percentage"):
        parse_percentage(text)
