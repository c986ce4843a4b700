"""HARD_SWISH against TFLM."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations
from support.tflm import TflmRefusalError, needs_tflm, run_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

CASES: list[tuple[Quantization, Quantization]] = [
    ((0.05, -3), (0.03, -118)),
    ((0.1, 127), (0.1, -128)),
    ((0.02, -128), (0.02, 127)),
    ((3.0, 0), (3.0, 0)),  # the ramp is a step
    ((200.0, 0), (100.0, 0)),  # both shifts of the ramp saturate
    ((1e-4, 0), (1e-5, 0)),  # about 0 the ramp is a half
    ((2**-22, 0), (2**-22, 0)),
    ((0.1, 0), (0.1 * 1.001 / 128, 0)),  # the largest factor there is
    ((0.1, 0), (0.1 * 255, 0)),  # the smallest
    # A factor in single precision, as TFLM had it until 2026, would round some values of this differently.
    ((0.09653712809085846, -128), (0.09410323202610016, 0)),
]


@needs_tflm
def test_every_value() -> None:
    assert_equals_tflm(unary_model("HARD_SWISH", (256,), *CASES), [[EVERY_VALUE] * len(CASES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(st.lists(st.tuples(quantizations(), quantizations()), min_size=16, max_size=16))
def test_every_value_of_any_quantization(cases: list[tuple[Quantization, Quantization]]) -> None:
    cases = [(x, y) for x, y in cases if 2**-8 < x[0] / y[0] < 2**7]
    assume(cases)
    assert_equals_tflm(unary_model("HARD_SWISH", (256,), *cases), [[EVERY_VALUE] * len(cases)])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("HARD_SWISH", (3,), CASES[0], version=2), r"op\.tflite: op 0 \(HARD_SWISH\): version: is 2"),
        (unary_model("HARD_SWISH", (3,), CASES[0], output_shape=(4,)), "output 0: shape"),
        (unary_model("HARD_SWISH", (3,), ((1.0, 0), (1 / 128, 0))), "the input's scale is over 128 times the output's"),
        (unary_model("HARD_SWISH", (3,), ((1.0, 0), (520.0, 0))), "the output's scale is over 256 times the input's"),
        (unary_model("HARD_SWISH", (3,), ((1e-8, 0), (1e-8, 0))), "input 0: quantization: scale 1e-08"),
        (unary_model("HARD_SWISH", (3,), ((1e9, 0), (1e9, 0))), r"input 0: quantization: scale 1e\+09"),
        (unary_model("HARD_SWISH", (3,), ((0.1, 0), (0.1, 0)), dtypes=("float32", "int8")), "input 0: is float32"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


@needs_tflm
def test_tflm_refuses_a_factor_above_one_too() -> None:
    with pytest.raises(TflmRefusalError):
        run_tflm(unary_model("HARD_SWISH", (256,), ((1.0, 0), (1 / 128, 0))), [[EVERY_VALUE]])
