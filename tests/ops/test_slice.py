"""SLICE against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.strategies import shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


def slice_model(
    shape: Sequence[int],
    begin: Sequence[int],
    size: Sequence[int],
    *,
    output: Sequence[int] | None = None,
    dtype: type = np.int32,
    version: int = 2,
) -> bytes:
    builder = ModelBuilder()
    taken = [whole - start if count == -1 else count for whole, start, count in zip(shape, begin, size, strict=False)]
    x, y = builder.input(shape, 0.1, -3), builder.output(taken if output is None else output, 0.1, -3)
    builder.op("SLICE", [x, *(builder.constant(np.array(v, dtype)) for v in (begin, size))], [y], version=version)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize(
    ("shape", "begin", "size", "dtype"),
    [
        ((1, 7, 5), (0, 6, 0), (1, 1, 5), np.int32),  # the last step of a sequence
        ((2, 3, 2, 3, 4), (1, 0, 0, 1, 1), (-1, 2, 1, 2, -1), np.int64),
        ((9,), (0,), (-1,), np.int32),
    ],
)
def test_slices(shape: Sequence[int], begin: Sequence[int], size: Sequence[int], dtype: type) -> None:
    model = slice_model(shape, begin, size, dtype=dtype)
    assert_equals_tflm(model)
    assert lower(model)[0].lead_of(0) == 0
    assert works_at_distances(model, range(4))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(shapes(max_rank=5, max_size=5, min_rank=1), st.data())
def test_anything(shape: tuple[int, ...], data: st.DataObject) -> None:
    begin = [data.draw(st.integers(0, whole - 1)) for whole in shape]
    size = [data.draw(st.sampled_from([-1, *range(1, w - b + 1)])) for w, b in zip(shape, begin, strict=True)]
    assert_equals_tflm(slice_model(shape, begin, size))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (slice_model((4, 5), (0, 0), (2, 2), version=7), "version: is 7"),
        (slice_model((4, 5), (0, 0), (2, 2), output=(2, 3)), "output 0: shape"),
        (slice_model((4, 5), (0,), (2,), output=(2, 5)), r"input 1: shape: is \[1\], not \[2\]"),
        (slice_model((4, 5), (0, 3), (2, 3)), "inputs: 3 elements from 3 on are not in axis 1, which has 5"),
        (slice_model((4, 5), (4, 0), (-1, 2), output=(1, 2)), "inputs: -1 elements from 4 on are not in axis 0"),
        (slice_model((4, 5), (-1, 0), (1, 2)), "inputs: 1 elements from -1 on"),
        (slice_model((4, 5), (0, 0), (0, 2), output=(1, 2)), "inputs: 0 elements from 0 on"),
        (slice_model((1,) * 6, (0,) * 6, (1,) * 6), "input 0: shape: .* has 6 dimensions, not 1 to 5"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(SLICE\): {message}"):
        lower(model)
