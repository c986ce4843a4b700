"""MAXIMUM and MINIMUM against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.binary_op import Q1, Q2, SHAPES, assert_all_pairs_equal_tflm, binary_model
from support.single_op import assert_equals_tflm, lower
from support.strategies import broadcast_shapes, seeds
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]
NAMES = ("MAXIMUM", "MINIMUM")
SAME = (Q1, Q1, Q1)


@needs_tflm
@pytest.mark.parametrize("name", NAMES)
def test_all_pairs(name: str) -> None:
    assert_all_pairs_equal_tflm(name, SAME)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(
    shapes=broadcast_shapes() | st.sampled_from(SHAPES),
    name=st.sampled_from(NAMES),
    constant=st.sampled_from([None, 0, 1]),
    seed=seeds(),
)
def test_anything(shapes: tuple[Shape, Shape], name: str, constant: int | None, seed: int) -> None:
    assert_equals_tflm(binary_model(name, *shapes, SAME, constant=constant, seed=seed), seed=seed)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_is_refused(name: str) -> None:
    for model, message in [
        (binary_model(name, (3,), (3,), SAME, version=5), "version: is 5"),
        (binary_model(name, (3,), (3,), (Q1, Q2, Q1)), "input 1: quantization: .* differ from the output's"),
        (binary_model(name, (3,), (3,), (Q1, Q1, Q2)), "input 0: quantization: .* differ from the output's"),
        (binary_model(name, (2, 3), (4, 3), SAME, output_shape=(4, 3)), "inputs: shape: .*broadcast"),
    ]:
        with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \({name}\): {message}"):
            lower(model)
