"""SUB against TFLM."""

from typing import Any

import numpy as np
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
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(("shape1", "shape2"), SHAPES)
@pytest.mark.parametrize("constant", [None, 0])
def test_shapes(shape1: Shape, shape2: Shape, constant: int | None) -> None:
    assert_equals_tflm(binary_model("SUB", shape1, shape2, constant=constant))


@needs_tflm
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "quantizations",
    [
        (Q1, Q2, Q3),
        (Q2, Q1, Q3),
        (Q1, Q1, Q1),
        ((0.1, -128), (1e-4, 127), (0.2, -128)),
        ((0.9, 127), (0.8, -128), (1e-3, 0)),
        # One pair of these shows how the operands are rounded, which is far below what most outputs can show.
        ((0.16349738836288452, -60), (0.07972634583711624, -89), (0.093923419713974, -93)),
        ((0.1855470985174179, 33), (0.05176057294011116, 24), (0.13081364333629608, 69)),
        # Factors in single precision, as TFLM had them until 2026, would round one pair of these differently.
        ((0.09988689422607422, 81), (0.17871975898742676, 22), (0.10552449524402618, -60)),
        ((0.10856803506612778, -101), (0.0579729825258255, -68), (0.15087920427322388, -55)),
    ],
)
def test_all_pairs(quantizations: tuple[Quantization, Quantization, Quantization], activation: str) -> None:
    assert_all_pairs_equal_tflm("SUB", quantizations, fused_activation_function=activation)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=12)
@given(case=binary_cases())
def test_anything(case: dict[str, Any]) -> None:
    model = binary_model("SUB", **case)
    try:
        lower(model)
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(model, seed=case["seed"])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (binary_model("SUB", (1, 3), (1, 3), version=6), r"op\.tflite: op 0 \(SUB\): version: is 6"),
        (binary_model("SUB", (2, 3), (1, 3), output_shape=(1, 3)), r"op 0 \(SUB\): output 0: shape"),
        (binary_model("SUB", (2, 3), (4, 3), output_shape=(4, 3)), r"op 0 \(SUB\): inputs: shape: .*broadcast"),
        (binary_model("SUB", (3,), (3,), ((1.0, 0), Q2, (1e-6, 0))), "quantization: the scales .* too far apart"),
        (binary_model("SUB", (3,), (3,), ((1e-30, 0), (1e30, 0), Q3)), "quantization: the scales .* too far apart"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


@needs_tflm
@pytest.mark.parametrize("quantizations", [((1.0, 0), Q2, (1e-6, 0)), ((1e-30, 0), (1e30, 0), Q3)])
def test_scales_that_kill_tflm_are_the_ones_refused(
    quantizations: tuple[Quantization, Quantization, Quantization],
) -> None:
    model = binary_model("SUB", (3,), (3,), quantizations)
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[np.zeros(3, np.int8), np.zeros(3, np.int8)]])
