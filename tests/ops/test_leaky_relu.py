"""LEAKY_RELU against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

CASES: list[tuple[Quantization, Quantization]] = [
    ((0.1, -3), (0.1, -3)),
    ((0.1, -128), (0.1, -128)),
    ((0.1, 127), (0.03, 127)),
    ((0.05, -3), (0.1, 10)),
    ((1.0, 0), (1e-5, -128)),  # all or nothing
    ((1e-12, 0), (1.0, 0)),  # flushed to zero
    # Factors in single precision, as TFLM had them until 2026, would round one value of these differently.
    ((0.08528339117765427, 0), (0.0683455765247345, -100)),
    ((0.09699463844299316, 127), (0.057707738131284714, 100)),
]
SLOPES = [0.3, 0.01, 1.0, 0.0, -0.7, 3.5]


def model_of(cases: list[tuple[Quantization, Quantization]], slopes: list[float]) -> bytes:
    """Every case with every slope."""
    builder = ModelBuilder()
    for of_input, of_output in cases:
        for slope in slopes:
            builder.op(
                "LEAKY_RELU", [builder.input((256,), *of_input)], [builder.output((256,), *of_output)], alpha=slope
            )
    return builder.build()


@needs_tflm
def test_every_value() -> None:
    assert_equals_tflm(model_of(CASES, SLOPES), [[EVERY_VALUE] * len(CASES) * len(SLOPES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(st.lists(st.tuples(quantizations(), quantizations()), min_size=16, max_size=16), st.floats(-2, 2, width=32))
def test_every_value_of_any_quantization(cases: list[tuple[Quantization, Quantization]], slope: float) -> None:
    assert_equals_tflm(model_of(cases, [slope]), [[EVERY_VALUE] * len(cases)])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("LEAKY_RELU", (3,), CASES[0], version=3), r"op\.tflite: op 0 \(LEAKY_RELU\): version: is 3"),
        (unary_model("LEAKY_RELU", (3,), CASES[0], output_shape=(4,)), "output 0: shape"),
        (unary_model("LEAKY_RELU", (3,), CASES[0], alpha=float("nan")), "alpha: is nan"),
        (unary_model("LEAKY_RELU", (3,), CASES[0], alpha=1e30), r"over 2\^22 times"),
        (unary_model("LEAKY_RELU", (3,), ((0.1, 0), (0.1, 0)), dtypes=("float32", "int8")), "input 0: is float32"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
