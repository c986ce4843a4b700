"""RELU6 against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations
from support.tflm import needs_tflm, run_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

CASES: list[Quantization] = [
    (0.1, -3),
    (0.0235, -128),
    (0.04, -128),
    (0.05, 127),
    (0.5, 0),  # 6 is in the middle of the range
    (4.0, 100),  # ties away from zero: 1.5 steps
    (100.0, 5),  # nothing but zero
    (1e-6, -128),
]


@needs_tflm
def test_every_value() -> None:
    model = unary_model("RELU6", (256,), *((case, case) for case in CASES))
    assert_equals_tflm(model, [[EVERY_VALUE] * len(CASES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10)
@given(st.lists(quantizations(), min_size=8, max_size=8))
def test_every_value_of_any_quantization(cases: list[Quantization]) -> None:
    model = unary_model("RELU6", (256,), *((case, case) for case in cases))
    assert_equals_tflm(model, [[EVERY_VALUE] * len(cases)])


@needs_tflm
def test_tflm_does_not_rescale_which_is_why_we_refuse() -> None:
    model = unary_model("RELU6", (256,), ((0.1, -3), (0.2, -3)))
    ((reference,),) = run_tflm(model, [[EVERY_VALUE]])
    assert reference.tobytes() == EVERY_VALUE.clip(-3, 57).tobytes()
    with pytest.raises(ModelError, match=r"op 0 \(RELU6\): output 0: quantization: .* does not rescale"):
        lower(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("RELU6", (3,), (CASES[0], CASES[0]), version=4), r"op 0 \(RELU6\): version: is 4"),
        (unary_model("RELU6", (3,), (CASES[0], CASES[0]), output_shape=(4,)), "output 0: shape"),
        (unary_model("RELU6", (3,), ((0.1, -3), (0.1, -4))), "output 0: quantization"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


def test_a_difference_that_no_value_can_show_is_accepted() -> None:
    lower(unary_model("RELU6", (3,), ((0.1, -3), (0.1001, -3))))
