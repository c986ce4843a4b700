"""TANH against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, shapes
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

TO: Quantization = (1 / 128, 0)
CASES: list[Quantization] = [
    (0.1, -3),
    (0.047, 0),
    (1 / 16, 127),
    (1 / 256, -128),
    (0.0007, 40),
    (3e-8, 0),  # the smallest but for a factor of four: always a half
    (1.9, 5),
    (7.9, -20),
    (8.0, 0),  # from here on even 0 is beyond what TFLM takes as the range
    (1e9, 0),
]


def model_of(cases: list[Quantization]) -> bytes:
    return unary_model("TANH", (256,), *((case, TO) for case in cases))


@needs_tflm
def test_every_value() -> None:
    assert_equals_tflm(model_of(CASES), [[EVERY_VALUE] * len(CASES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(quantizations(), min_size=8, max_size=8))
def test_every_value_of_any_quantization(cases: list[Quantization]) -> None:
    assert_equals_tflm(model_of(cases), [[EVERY_VALUE] * len(cases)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10)
@given(shape=shapes(max_rank=6, max_size=4), of_input=st.sampled_from(CASES))
def test_shapes(shape: tuple[int, ...], of_input: Quantization) -> None:
    assert_equals_tflm(unary_model("TANH", shape, (of_input, TO)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("TANH", (3,), (CASES[0], TO), version=4), r"op 0 \(TANH\): version: is 4"),
        (unary_model("TANH", (3,), (CASES[0], TO), output_shape=(4,)), "output 0: shape"),
        (unary_model("TANH", (3,), (CASES[0], (1 / 128, 1))), "output 0: quantization: .* not 1/128 and 0"),
        (unary_model("TANH", (3,), (CASES[0], (1 / 256, 0))), "output 0: quantization: .* not 1/128 and 0"),
        (unary_model("TANH", (3,), ((1e-9, 0), TO)), "input 0: quantization: scale 1e-09"),
        (unary_model("TANH", (3,), ((1e12, 0), TO)), r"input 0: quantization: scale 1e\+12"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
