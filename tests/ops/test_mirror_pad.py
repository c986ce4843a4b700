"""MIRROR_PAD against TFLM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.strategies import shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Paddings = Sequence[tuple[int, int]]
IMAGE: Paddings = [(0, 0), (1, 2), (2, 1), (0, 0)]


def mirror_model(
    shape: Sequence[int], paddings: Paddings, mode: str = "REFLECT", *, output: Any = None, version: int = 1
) -> bytes:
    builder = ModelBuilder()
    padded = [size + sum(ends) for size, ends in zip(shape, paddings, strict=False)] if output is None else output
    x, y = builder.input(shape, 0.1, -3), builder.output(padded, 0.1, -3)
    builder.op("MIRROR_PAD", [x, builder.constant(np.array(paddings, np.int32))], [y], mode=mode, version=version)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("mode", ["REFLECT", "SYMMETRIC"])
def test_images(mode: str) -> None:
    model = mirror_model((1, 4, 5, 3), IMAGE, mode)
    assert_equals_tflm(model)
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(shapes(max_rank=4, max_size=5, min_rank=1), st.sampled_from(["REFLECT", "SYMMETRIC"]), st.data())
def test_anything(shape: tuple[int, ...], mode: str, data: st.DataObject) -> None:
    most = [size - (mode == "REFLECT") for size in shape]
    paddings = [tuple(data.draw(st.integers(0, size)) for _ in range(2)) for size in most]
    assert_equals_tflm(mirror_model(shape, paddings, mode))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mirror_model((1, 4, 5, 3), IMAGE, version=3), "version: is 3"),
        (mirror_model((1, 4, 5, 3), IMAGE, output=(1, 7, 8, 4)), "output 0: shape"),
        (mirror_model((4, 5), [(0, 0), (5, 0)]), r"input 1: paddings \[5, 0\] of axis 1 are not 0 to 4, what it has"),
        (mirror_model((4, 5), [(0, -1), (0, 0)]), r"input 1: paddings \[0, -1\] of axis 0"),
        (mirror_model((4, 5), [(0, 1)], output=(5, 5)), r"input 1: shape: is \[1, 2\], not \[2, 2\]"),
        (mirror_model((1,) * 5, [(0, 0)] * 5), "input 0: shape: .* has 5 dimensions, not 1 to 4"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(MIRROR_PAD\): {message}"):
        lower(model)
