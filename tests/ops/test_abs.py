"""ABS against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

CASES: list[tuple[Quantization, Quantization]] = [
    ((0.1, -3), (0.1, -3)),
    ((0.1, 127), (0.1, -128)),
    ((0.05, -3), (0.1, 10)),
    ((1.0, 0), (1e-5, -128)),  # all or nothing
    ((1e-12, 0), (1.0, 0)),  # flushed to zero
    # Factors in single precision, as TFLM had them until 2026, would round one value of these differently.
    ((0.08528339117765427, 0), (0.0683455765247345, -100)),
    ((0.06507295370101929, 0), (0.05987701192498207, -100)),
]


@needs_tflm
def test_every_value() -> None:
    assert_equals_tflm(unary_model("ABS", (256,), *CASES), [[EVERY_VALUE] * len(CASES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=2)
@given(st.lists(st.tuples(quantizations(), quantizations()), min_size=16, max_size=16))
def test_every_value_of_any_quantization(cases: list[tuple[Quantization, Quantization]]) -> None:
    assert_equals_tflm(unary_model("ABS", (256,), *cases), [[EVERY_VALUE] * len(cases)])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("ABS", (3,), CASES[0], version=6), r"op\.tflite: op 0 \(ABS\): version: is 6"),
        (unary_model("ABS", (3,), CASES[0], output_shape=(4,)), "output 0: shape"),
        (unary_model("ABS", (3,), ((1.0, 0), (2**-23, 0))), r"over 2\^22 times"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
