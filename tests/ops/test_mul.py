"""MUL against TFLM."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from support.binary_op import (
    Q1,
    Q2,
    Q3,
    SHAPES,
    Quantization,
    assert_all_pairs_equal_tflm,
    binary_cases,
    binary_model,
)
from support.single_op import assert_equals_tflm, lower
from support.strategies import ACTIVATIONS
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]


@needs_tflm
@pytest.mark.parametrize(("shape1", "shape2"), SHAPES)
@pytest.mark.parametrize("constant", [None, 1])
def test_shapes(shape1: Shape, shape2: Shape, constant: int | None) -> None:
    assert_equals_tflm(binary_model("MUL", shape1, shape2, constant=constant))


@needs_tflm
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "quantizations",
    [
        (Q1, Q2, Q3),
        ((0.04, -128), (0.05, 127), (0.3, 10)),
        ((0.5, 0), (0.5, 0), (0.25, 0)),  # factor 1
        ((0.9, 5), (0.7, -3), (0.1, 0)),  # a shift to the left
        ((1.0, -128), (1.0, -128), (1.0001 * 2**-15, 0)),  # the largest factor there is
        ((1e-9, 3), (1e-9, 4), (0.5, -7)),  # flushed to zero
    ],
)
def test_all_pairs(quantizations: tuple[Quantization, Quantization, Quantization], activation: str) -> None:
    assert_all_pairs_equal_tflm("MUL", quantizations, fused_activation_function=activation)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(case=binary_cases())
def test_anything(case: dict[str, Any]) -> None:
    model = binary_model("MUL", **case)
    try:
        lower(model)
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(model, seed=case["seed"])


@needs_tflm
def test_a_square() -> None:
    builder = ModelBuilder()
    x, y = builder.input((2, 9), *Q1), builder.output((2, 9), *Q3)
    builder.op("MUL", [x, x], [y])
    assert_equals_tflm(builder.build())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (binary_model("MUL", (1, 3), (1, 3), version=9), r"op\.tflite: op 0 \(MUL\): version: is 9"),
        (binary_model("MUL", (2, 3), (1, 3), output_shape=(1, 3)), r"op 0 \(MUL\): output 0: shape"),
        (binary_model("MUL", (2, 3), (4, 3), output_shape=(4, 3)), r"op 0 \(MUL\): inputs: shape: .*broadcast"),
        (binary_model("MUL", (3,), (3,), ((1.0, 0), (1.0, 0), (2**-15, 0))), r"over 2\^15 times"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
