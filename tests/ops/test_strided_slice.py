"""STRIDED_SLICE against TFLM."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.overlap import works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


def model_of(shape: tuple[int, ...], slices: list[Any], **options: Any) -> bytes:
    """The slice that numpy makes of `slices`: slice objects with all bounds, or an int for a shrunk axis."""
    rows = [(s.start, s.stop, s.step) if isinstance(s, slice) else (s, s + 1, 1) for s in slices]
    begin, end, strides = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    shrink = sum(1 << axis for axis, s in enumerate(slices) if not isinstance(s, slice))
    masks = {"shrink_axis_mask": shrink} | options
    builder = ModelBuilder()
    x = builder.input(shape, 0.1, -3)
    indices = [builder.constant(values) for values in (begin, end, strides)]
    output = masks.pop("output", None)
    if output is None:
        taken = tuple(s if isinstance(s, slice) else int(s) for s in slices)
        output = np.zeros(shape)[taken].shape
    y = builder.output(output, 0.1, -3)
    builder.op("STRIDED_SLICE", [x, *indices], [y], **masks)
    return builder.build()


WHOLE = slice(0, 99, 1)


@needs_tflm
@pytest.mark.parametrize(
    ("shape", "slices"),
    [
        ((1, 7, 5), [WHOLE, -1, WHOLE]),  # the last step of a sequence
        ((9,), [slice(2, 8, 3)]),
        ((4, 6), [WHOLE, WHOLE]),
        ((4, 6), [slice(1, 3, 1), slice(1, 6, 2)]),
        ((4, 6), [slice(-3, -1, 1), WHOLE]),
        ((4, 6), [slice(3, -9, -1), slice(5, 0, -2)]),
        ((2, 3, 4, 5), [WHOLE, slice(0, 3, 2), slice(1, 4, 1), WHOLE]),
        ((2, 3, 4, 5), [1, WHOLE, 2, slice(0, 5, 4)]),
    ],
)
def test_slices(shape: tuple[int, ...], slices: list[Any]) -> None:
    model = model_of(shape, slices)
    assert_equals_tflm(model)
    if lower(model)[0].lead_of(0) is not None:
        assert works_at_distances(model, range(6))


@needs_tflm
def test_masks_replace_bounds() -> None:
    model = model_of((4, 6), [slice(2, 3, 1), slice(4, 5, -1)], begin_mask=0b11, end_mask=0b10, output=(3, 6))
    assert_equals_tflm(model)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_anything(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    slices: list[Any] = []
    for size in shape:
        first, last = (data.draw(st.integers(0, size - 1)) for _ in range(2))
        step, counted_from_end = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([0, size]))
        if data.draw(st.booleans()):
            slices.append(first - counted_from_end)
        elif first <= last:
            slices.append(slice(first - counted_from_end, last + 1, step))
        else:
            slices.append(slice(first - counted_from_end, last - 1 if last else -size - 1, -step))
    assume(any(isinstance(s, slice) for s in slices))  # TFLM has no tensors without dimensions
    assert_equals_tflm(model_of(shape, slices))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of((4,), [WHOLE], version=9), r"op 0 \(STRIDED_SLICE\): version: is 9"),
        (model_of((4,), [WHOLE], output=(3,)), "output 0: shape"),
        (model_of((4,), [WHOLE], new_axis_mask=1), "new_axis_mask: is not supported"),
        (model_of((4,), [WHOLE], ellipsis_mask=1), "ellipsis_mask: is not supported"),
        (model_of((4,), [WHOLE], offset=True), "offset: is not supported"),
        (model_of((4,), [slice(3, 3, 1)], output=(1,)), "the slice of axis 0 is empty"),
        (model_of((4, 2), [4, WHOLE], output=(2,)), "the slice of axis 0 is empty"),
        (model_of((1, 1, 1, 2, 3), [WHOLE] * 5), "5 dimensions, not 1 to 4"),
        (model_of((4,), [slice(0, 4, 0)], output=(4,)), "stride of axis 0 is 0"),
        (model_of((4, 2), [WHOLE], output=(4, 2)), r"input 1: shape: is \[1\], not \[2\]"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
