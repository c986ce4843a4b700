"""DEQUANTIZE against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization

from tinyml_sdk.errors import ModelError


def model_of(
    shape: tuple[int, ...], *inputs: Quantization, output_shape: tuple[int, ...] | None = None, version: int = 2
) -> bytes:
    builder = ModelBuilder()
    for of_input in inputs:
        x = builder.input(shape, *of_input)
        y = builder.output(shape if output_shape is None else output_shape, dtype="float32")
        builder.op("DEQUANTIZE", [x], [y], version=version)
    return builder.build()


@needs_tflm
@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(quantizations(), min_size=8, max_size=8))
def test_every_value_of_any_quantization(cases: list[Quantization]) -> None:
    assert_equals_tflm(model_of((256,), *cases), [[EVERY_VALUE] * len(cases)])


@needs_tflm
def test_extreme_scales() -> None:
    """Down to where products are denormal, and up to where they overflow."""
    cases = [(1e-40, 0), (1e-38, 3), (3e38, 0), (1e36, -128), (1.0, 127), (0.1, -128)]
    assert_equals_tflm(model_of((256,), *cases), [[EVERY_VALUE] * len(cases)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=20)
@given(shape=shapes(max_rank=6, max_size=4), of_input=quantizations())
def test_shapes(shape: tuple[int, ...], of_input: Quantization) -> None:
    assert_equals_tflm(model_of(shape, of_input))


def test_the_output_may_run_into_the_input_from_below() -> None:
    (layer,) = lower(model_of((10,), (0.1, 0)))
    assert layer.lead == (27,)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of((3,), (0.1, 0), version=7), r"op\.tflite: op 0 \(DEQUANTIZE\): version: is 7"),
        (model_of((3,), (0.1, 0), output_shape=(4,)), "output 0: shape"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
