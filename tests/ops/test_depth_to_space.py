"""DEPTH_TO_SPACE and SPACE_TO_DEPTH against TFLM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Image = tuple[int, int, int, int]


def add_both(builder: ModelBuilder, small: Image, block: int) -> None:
    """Each from its own input; `small`: the image of few pixels, without the square of `block` in its channels."""
    batches, height, width, channels = small
    deep, wide = (batches, height, width, channels * block**2), (batches, height * block, width * block, channels)
    builder.op("DEPTH_TO_SPACE", [builder.input(deep, 0.1)], [builder.output(wide, 0.1)], block_size=block)
    builder.op("SPACE_TO_DEPTH", [builder.input(wide, 0.1)], [builder.output(deep, 0.1)], block_size=block)


def model_of(name: str, shape: Image, output: Image, block: int, version: int = 1) -> bytes:
    builder = ModelBuilder()
    x, y = builder.input(shape, 0.1, -3), builder.output(output, 0.1, -3)
    builder.op(name, [x], [y], block_size=block, version=version)
    return builder.build()


CASES = [
    ("DEPTH_TO_SPACE", (1, 3, 4, 12), (1, 6, 8, 3), 2),
    ("SPACE_TO_DEPTH", (2, 6, 9, 2), (2, 2, 3, 18), 3),
]


@needs_tflm
@pytest.mark.parametrize(("name", "shape", "output", "block"), CASES)
def test_images(name: str, shape: Image, output: Image, block: int) -> None:
    model = model_of(name, shape, output, block)
    assert_equals_tflm(model)
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=2)
@given(st.lists(st.tuples(st.tuples(*[st.integers(1, 5)] * 4), st.integers(1, 4)), min_size=6, max_size=6))
def test_anything(cases: list[tuple[Image, int]]) -> None:
    builder = ModelBuilder()
    for small, block in cases:
        add_both(builder, small, block)
    assert_equals_tflm(builder.build())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_of("DEPTH_TO_SPACE", (1, 3, 4, 12), (1, 6, 8, 3), 2, version=3), "version: is 3"),
        (model_of("DEPTH_TO_SPACE", (1, 3, 4, 12), (1, 6, 8, 4), 2), "output 0: shape"),
        (model_of("DEPTH_TO_SPACE", (1, 3, 4, 10), (1, 6, 8, 2), 2), "the square of 2 does not divide 10 channels"),
        (model_of("SPACE_TO_DEPTH", (1, 5, 4, 3), (1, 2, 2, 12), 2), "2 does not divide an image of 5x4"),
        (model_of("SPACE_TO_DEPTH", (1, 4, 4, 3), (1, 2, 2, 3), 2), "output 0: shape"),
        (model_of("SPACE_TO_DEPTH", (1, 4, 4, 3), (1, 2, 2, 3), 0), "block_size: is 0"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(\w+\): .*{message}"):
        lower(model)
