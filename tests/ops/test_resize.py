"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR against TFLM."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

NAMES = ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")
WAYS: list[dict[str, bool]] = [{}, {"align_corners": True}, {"half_pixel_centers": True}]


def add_resize(
    builder: ModelBuilder,
    name: str,
    shape: tuple[int, int, int, int],
    size: tuple[int, ...],
    output: tuple[int, ...] | None = None,
    **options: Any,
) -> None:
    batches, _, _, channels = shape
    x = builder.input(shape, 0.1, -3)
    y = builder.output((batches, *size, channels) if output is None else output, 0.2, 4)
    builder.op(name, [x, builder.constant(np.array(size, np.int32))], [y], **options)


def model_of(*args: Any, **options: Any) -> bytes:
    builder = ModelBuilder()
    add_resize(builder, *args, **options)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 4, 5, 3), (8, 10)),  # UpSampling2D(2)
        ((2, 7, 6, 1), (3, 4)),  # fewer than before
        ((1, 3, 5, 17), (7, 2)),
    ],
)
def test_images(name: str, shape: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    builder = ModelBuilder()
    for way in WAYS:
        add_resize(builder, name, shape, size, **way)
    assert_equals_tflm(builder.build())


@needs_tflm
@pytest.mark.slow
@settings(max_examples=2)
@given(
    st.lists(
        st.tuples(st.tuples(*[st.integers(1, 40)] * 4), st.sampled_from(WAYS), st.integers(1, 2), st.integers(1, 3)),
        min_size=6,
        max_size=6,
    )
)
def test_any_sizes(cases: list[tuple[tuple[int, int, int, int], dict[str, bool], int, int]]) -> None:
    """Each case is a height and a width, before and after: a single row of pixels shows every column."""
    builder = ModelBuilder()
    for (height, width, new_height, new_width), way, batches, channels in cases:
        for name in NAMES:
            add_resize(builder, name, (batches, height, width, channels), (new_height, new_width), **way)
    assert_equals_tflm(builder.build())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "size"), [((1, 4, 5, 3), (8, 10)), ((2, 4, 3, 5), (6, 3))])
def test_the_lead_is_what_it_takes(name: str, shape: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    model = model_of(name, shape, size)
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)


@pytest.mark.parametrize("name", NAMES)
def test_a_smaller_image_takes_the_place_of_the_larger(name: str) -> None:
    assert lower(model_of(name, (1, 8, 8, 2), (4, 4)))[0].lead_of(0) == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_is_refused(name: str) -> None:
    for model, message in [
        (model_of(name, (1, 2, 2, 1), (4, 4), version=5), "version: is 5"),
        (model_of(name, (1, 2, 2, 1), (4, 4), (1, 4, 5, 1)), "output 0: shape"),
        (model_of(name, (1, 2, 2, 1), (4,), (1, 4, 4, 1)), r"input 1: shape: is \[1\], not \[2\]"),
        (model_of(name, (1, 2, 2, 1), (0, 4), (1, 4, 4, 1)), "input 1: a height or width of .0, 4. is outside 1 to"),
        (
            model_of(name, (1, 2, 2, 1), (4, 4), align_corners=True, half_pixel_centers=True),
            "half_pixel_centers: ",
        ),
    ]:
        with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \({name}\): {message}"):
            lower(model)


def test_steps_that_round_to_beyond_the_image_are_refused() -> None:
    """TFLM would read there."""
    with pytest.raises(ModelError, match="input 1: the steps of 3001 pixels over 2 round to beyond the last"):
        lower(model_of("RESIZE_BILINEAR", (1, 2, 2, 1), (2, 3001)))
