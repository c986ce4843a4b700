"""ADD against TFLM."""

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
from support.tflite_model import ModelBuilder
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]


@needs_tflm
@pytest.mark.parametrize(("shape1", "shape2"), SHAPES)
@pytest.mark.parametrize("constant", [None, 1])
def test_shapes(shape1: Shape, shape2: Shape, constant: int | None) -> None:
    assert_equals_tflm(binary_model("ADD", shape1, shape2, constant=constant))


@needs_tflm
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "quantizations",
    [
        (Q1, Q2, Q3),
        (Q2, Q1, Q3),
        (Q1, Q1, Q1),  # both operands exactly half of the common scale
        ((0.1, -128), (1e-4, 127), (0.2, -128)),  # one operand nearly lost
        ((1.0, 0), (1e-11, 0), (0.5, 0)),  # its multiplier flushed to zero
        ((0.9, 127), (0.8, -128), (1e-3, 0)),  # everything saturates
        # One pair of these shows how the operands are rounded, which is far below what most outputs can show.
        ((0.06584981083869934, 116), (0.09426364302635193, -27), (0.018871406093239784, -62)),
        ((0.052405502647161484, -123), (0.0766400620341301, -21), (0.13664278388023376, -125)),
        ((1e-3, 127), (2e-3, -128), (1.5, 17)),  # everything is zero
    ],
)
def test_all_pairs(quantizations: tuple[Quantization, Quantization, Quantization], activation: str) -> None:
    assert_all_pairs_equal_tflm("ADD", quantizations, fused_activation_function=activation)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(case=binary_cases())
def test_anything(case: dict[str, Any]) -> None:
    model = binary_model("ADD", **case)
    try:
        lower(model)
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(model, seed=case["seed"])


@needs_tflm
def test_a_tensor_plus_itself() -> None:
    builder = ModelBuilder()
    x, y = builder.input((2, 9), *Q1), builder.output((2, 9), *Q3)
    builder.op("ADD", [x, x], [y])
    assert_equals_tflm(builder.build())


@needs_tflm
@pytest.mark.slow
def test_a_residual_block_is_planned_in_place() -> None:
    """Sums in a row, each over the input before it: the planner may lay all of them over one another."""
    builder = ModelBuilder()
    x = builder.input((1, 8, 8, 4), *Q1)
    one, two = builder.tensor((1, 8, 8, 4), *Q2), builder.tensor((1, 8, 8, 4), *Q3)
    y = builder.output((1, 8, 8, 4), *Q1)
    builder.op("ADD", [x, x], [one])
    builder.op("ADD", [one, x], [two])
    builder.op("ADD", [two, one], [y])
    assert_equals_tflm(builder.build())


def test_only_an_input_that_is_not_repeated_may_be_overwritten() -> None:
    def lead(shape1: Shape, shape2: Shape) -> tuple[int | None, ...]:
        return lower(binary_model("ADD", shape1, shape2))[0].lead

    assert lead((1, 4, 3), (1, 4, 3)) == (0, 0)
    assert lead((1, 4, 3), (3,)) == (0, None)
    assert lead((1,), (1, 4, 3)) == (None, 0)
    assert lead((4, 1), (1, 3)) == (None, None)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (binary_model("ADD", (1, 3), (1, 3), version=9), r"op\.tflite: op 0 \(ADD\): version: is 9"),
        (binary_model("ADD", (2, 3), (1, 3), output_shape=(1, 3)), r"op 0 \(ADD\): output 0: shape"),
        (binary_model("ADD", (2, 3), (4, 3), output_shape=(4, 3)), r"op 0 \(ADD\): inputs: shape: .*broadcast"),
        (binary_model("ADD", (3,), (3,), fused_activation_function="TANH"), "fused_activation_function: TANH"),
        (binary_model("ADD", (3,), (3,), ((1.0, 0), Q2, (1e-6, 0))), "quantization: the scales .* too far apart"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


def test_an_operand_with_a_scale_for_each_channel_is_refused() -> None:
    builder = ModelBuilder()
    x, y = builder.input((2, 3), *Q1), builder.output((2, 3), *Q3)
    channels = builder.constant(np.ones((2, 3), np.int8), (0.1, 0.2, 0.3), axis=1)
    builder.op("ADD", [x, channels], [y])
    with pytest.raises(ModelError, match="input 1: quantization"):
        lower(builder.build())


@needs_tflm
def test_scales_that_kill_tflm_are_the_ones_refused() -> None:
    model = binary_model("ADD", (3,), (3,), ((1.0, 0), Q2, (1e-6, 0)))
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[np.zeros(3, np.int8), np.zeros(3, np.int8)]])
