"""SPLIT and SPLIT_V against TFLM."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


def split_model(shape: tuple[int, ...], axis: int, sizes: list[int], *, even: bool = False, **changes: Any) -> bytes:
    """SPLIT if `even`, else SPLIT_V. The file has sizes `written` and the `written_axis` in place of the right ones."""
    builder = ModelBuilder()
    x = builder.input(shape, 0.05, -7)
    place = axis % len(shape)
    outputs = [builder.output((*shape[:place], size, *shape[place + 1 :]), 0.05, -7) for size in sizes]
    axis_tensor = builder.constant(np.array(changes.get("written_axis", axis), np.int32))
    if even:
        builder.op("SPLIT", [axis_tensor, x], outputs, num_splits=len(sizes))
    else:
        written = builder.constant(np.array(changes.get("written", sizes), np.int32))
        builder.op("SPLIT_V", [x, written, axis_tensor], outputs, num_splits=len(sizes))
    return builder.build()


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    shape = list(draw(shapes(max_rank=4, max_size=5, min_rank=1)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    even = draw(st.booleans())
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    sizes = [sizes[0]] * len(sizes) if even else sizes
    shape[axis] = sum(sizes)
    return split_model(tuple(shape), axis, sizes, even=even)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10)
@given(model=cases())
def test_anything(model: bytes) -> None:
    assert_equals_tflm(model)


@needs_tflm
@pytest.mark.parametrize("even", [False, True])
def test_channels_in_two_halves(even: bool) -> None:
    assert_equals_tflm(split_model((1, 11, 1, 64), -1, [32, 32], even=even))


@needs_tflm
def test_the_size_that_is_left() -> None:
    assert_equals_tflm(split_model((1, 9), 1, [2, 4, 3], written=[2, -1, 3]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (split_model((1, 9), 1, [2, 4, 3], written=[2, 4, 2]), r"op 0 \(SPLIT_V\): input 1: sizes \[2, 4, 2\]"),
        (split_model((1, 9), 1, [2, 4, 3], written=[2, -1, -1]), "input 1: sizes"),
        (split_model((1, 9), 1, [2, 4, 3], written=[9, 0, 0]), "input 1: sizes"),
        (split_model((1, 9), 1, [2, 4, 3], written_axis=2), "input 2: 2 is no axis"),
        (split_model((1, 9), 1, [4, 5], even=True), r"op 0 \(SPLIT\): outputs: 9 elements"),
        (split_model((1, 12), 1, [1] * 12), "outputs: has 12 outputs"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
