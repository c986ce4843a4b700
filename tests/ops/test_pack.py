"""PACK and UNPACK against TFLM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.strategies import shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]


def pack_model(
    shape: Shape,
    count: int,
    axis: int,
    *,
    constant: bool = False,
    output: Shape | None = None,
    values_count: int | None = None,
    other: float = 0.1,
    version: int = 2,
) -> bytes:
    """`constant`: the last input's values are in the file; `other`: its scale."""
    builder = ModelBuilder()
    inputs = [builder.input(shape, 0.1, -3) for _ in range(count - 1)]
    values = np.resize(np.arange(-7, 90, dtype=np.int8), shape)
    inputs.append(builder.constant(values, other, -3) if constant else builder.input(shape, other, -3))
    packed = np.stack([np.zeros(shape)] * count, axis).shape if output is None else output
    options = {"axis": axis, "values_count": count if values_count is None else values_count}
    builder.op("PACK", inputs, [builder.output(packed, 0.1, -3)], version=version, **options)
    return builder.build()


def unpack_model(
    shape: Shape, axis: int, *, num: int | None = None, part: Shape | None = None, version: int = 2
) -> bytes:
    builder = ModelBuilder()
    x = builder.input(shape, 0.1, -3)
    parts = shape[:axis] + shape[axis % len(shape) + 1 :] if part is None else part
    count = shape[axis]
    outputs = [builder.output(parts, 0.1, -3) for _ in range(count)]
    builder.op("UNPACK", [x], outputs, axis=axis, num=count if num is None else num, version=version)
    return builder.build()


@needs_tflm
@pytest.mark.slow
@settings(max_examples=2)
@given(shapes(max_rank=4, max_size=4), st.integers(1, 14), st.integers(0, 8), st.booleans())
def test_anything(shape: Shape, count: int, axis: int, constant: bool) -> None:
    assert_equals_tflm(pack_model(shape, count, axis % (2 * len(shape) + 2) - len(shape) - 1, constant=constant))
    packed = (*shape, count)
    assert_equals_tflm(unpack_model(packed, axis % (2 * len(packed)) - len(packed)))


@needs_tflm
@pytest.mark.parametrize("axis", [1, 0, -1])
def test_axes(axis: int) -> None:
    assert_equals_tflm(pack_model((2, 5, 3), 3, axis))
    assert_equals_tflm(unpack_model((3, 4, 3), axis))


@pytest.mark.slow
def test_the_distance_asked_for_is_needed() -> None:
    for place in range(3):
        assert breaks_one_byte_closer(pack_model((4, 3), 3, 1), place)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (pack_model((2, 3), 2, 0, version=5), "version: is 5"),
        (pack_model((2, 3), 2, 0, output=(2, 3, 2)), "output 0: shape"),
        (pack_model((2, 3), 2, 3, output=(2, 2, 3)), "axis: is 3, outside -3 to 2"),
        (pack_model((2, 3), 2, 0, values_count=3), "values_count: is 3, but the op has 2 inputs"),
        (pack_model((2, 3), 2, 0, other=0.2), "input 1: quantization: .* differ from the output's"),
        (unpack_model((2, 3), 0, version=5), "version: is 5"),
        (unpack_model((2, 3), 0, num=3), "num: is 3, for 2 elements and 2 outputs"),
        (unpack_model((2, 3), 0, part=(2,)), r"output 0: shape: is \[2\], but the op computes \[3\]"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \((UN)?PACK\): {message}"):
        lower(model)
