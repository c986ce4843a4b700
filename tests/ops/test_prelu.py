"""PRELU against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.binary_op import Q1, Q2, Q3, Quantization, assert_all_pairs_equal_tflm, binary_model
from support.single_op import assert_equals_tflm, lower
from support.strategies import broadcast_shapes, quantizations, seeds
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]
Quantizations = tuple[Quantization, Quantization, Quantization]


@needs_tflm
@pytest.mark.parametrize(
    "quantizations",
    [
        (Q1, Q2, Q3),
        ((0.04, 127), (0.05, -128), (0.3, 10)),
        ((0.5, 0), (0.5, 0), (0.25, 0)),
        ((0.9, 5), (0.7, -3), (0.1, 0)),  # shifts to the left
        ((1.0, 127), (1.0, 127), (1.0001 * 2**-15, 0)),  # the largest factor there is
        ((1e-9, 3), (1e-9, 4), (0.5, -7)),  # flushed to zero
    ],
)
def test_all_pairs(quantizations: Quantizations) -> None:
    assert_all_pairs_equal_tflm("PRELU", quantizations)


@needs_tflm
@pytest.mark.parametrize(
    ("shape", "slopes"), [((1, 5, 4, 3), (1, 1, 3)), ((1, 5, 4, 3), (5, 4, 3)), ((1, 5, 7), (1,)), ((2, 5, 4), (5, 1))]
)
def test_shapes(shape: Shape, slopes: Shape) -> None:
    """A slope for each channel, as `PReLU(shared_axes=[1, 2])` has it, for each element, one for all."""
    model = binary_model("PRELU", shape, slopes, constant=1)
    assert_equals_tflm(model)
    assert lower(model)[0].lead_of(0) == 0


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(shapes=broadcast_shapes(), of=st.tuples(*[quantizations()] * 3), seed=seeds())
def test_anything(shapes: tuple[Shape, Shape], of: Quantizations, seed: int) -> None:
    assert_equals_tflm(binary_model("PRELU", *shapes, of, seed=seed), seed=seed)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (binary_model("PRELU", (1, 3), (1, 3), version=2), "version: is 2"),
        (binary_model("PRELU", (2, 3), (1, 3), output_shape=(1, 3)), "output 0: shape"),
        (binary_model("PRELU", (2, 3), (4, 3), output_shape=(4, 3)), "inputs: shape: .*broadcast"),
        (binary_model("PRELU", (3,), (3,), ((1.0, 0), (1.0, 0), (2**-15, 0))), r"quantization: .* over 2\^15 times"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(PRELU\): {message}"):
        lower(model)
