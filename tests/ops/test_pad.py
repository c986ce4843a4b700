"""PAD against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, seeds
from support.tflite_model import ModelBuilder
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

Paddings = Sequence[tuple[int, int]]


def pad_model(
    shape: Sequence[int],
    paddings: Paddings,
    input_quantization: tuple[float, int] = (0.05, -7),
    output_quantization: tuple[float, int] = (0.05, -7),
    *,
    output_shape: Sequence[int] | None = None,
    dtype: type = np.int32,
    version: int = 1,
) -> bytes:
    builder = ModelBuilder()
    x = builder.input(shape, *input_quantization)
    padded = [size + before + after for size, (before, after) in zip(shape, paddings, strict=False)]
    y = builder.output(output_shape or padded, *output_quantization)
    builder.op("PAD", [x, builder.constant(np.array(paddings, dtype))], [y], version=version)
    return builder.build()


@st.composite
def padded_shapes(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]]]:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3)) | st.just((0, 0))
    return shape, [draw(sides) for _ in shape]


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(case=padded_shapes(), input_quantization=quantizations(), output_quantization=quantizations(), seed=seeds())
def test_anything(
    case: tuple[list[int], list[tuple[int, int]]],
    input_quantization: tuple[float, int],
    output_quantization: tuple[float, int],
    seed: int,
) -> None:
    assert_equals_tflm(pad_model(*case, input_quantization, output_quantization), seed=seed)


@needs_tflm
@pytest.mark.parametrize(
    ("shape", "paddings"),
    [
        ((1, 8, 8, 3), [(0, 0), (1, 1), (1, 1), (0, 0)]),  # in front of a strided convolution
        ((1, 8, 8, 3), [(0, 0), (0, 1), (0, 1), (0, 0)]),
        ((2, 3, 2, 3, 2), [(1, 2), (2, 1), (1, 1), (3, 1), (1, 2)]),  # nothing to merge
        ((3, 4), [(0, 0), (0, 0)]),  # nothing to do
        ((7,), [(130, 5)]),
    ],
)
def test_corners(shape: Sequence[int], paddings: Paddings) -> None:
    assert_equals_tflm(pad_model(shape, paddings))


@pytest.mark.parametrize(
    ("shape", "paddings"),
    [
        ((1, 8, 8, 3), [(0, 0), (1, 1), (1, 1), (0, 0)]),
        ((2, 3, 2, 3, 2), [(1, 2), (2, 1), (1, 1), (3, 1), (1, 2)]),
        ((5,), [(3, 0)]),
    ],
)
def test_the_distance_asked_for_is_needed(shape: Sequence[int], paddings: Paddings) -> None:
    assert breaks_one_byte_closer(pad_model(shape, paddings))


def test_padding_behind_alone_works_in_place() -> None:
    assert lower(pad_model((7,), [(0, 5)]))[0].lead_of(0) == 0


@needs_tflm
def test_six_dimensions_are_refused_as_by_tflm() -> None:
    model = pad_model((1,) * 6, [(1, 0)] * 6)
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[np.zeros((1,) * 6, np.int8)]])
    with pytest.raises(ModelError, match=r"op 0 \(PAD\): input 0: shape: .* has 6 dimensions"):
        lower(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (pad_model((2, 3), [(1, 1), (0, 2)], version=5), "version: is 5"),
        (pad_model((2, 3), [(1, 1)], output_shape=(4, 3)), "input 1: shape"),
        (pad_model((2, 3), [(1, 1), (-1, 2)]), r"input 1: paddings .*\[-1, 2\]"),
        (pad_model((2, 3), [(1, 1), (0, 2)], output_shape=(4, 4)), "output 0: shape"),
        (pad_model((2, 3), [(1, 1), (0, 2)], dtype=np.int64), "input 1: is int64"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(PAD\): {message}"):
        lower(model)


def test_computed_paddings_are_refused() -> None:
    builder = ModelBuilder()
    x, paddings = builder.input((2, 3), 0.1), builder.input((2, 2), dtype="int32")
    builder.op("PAD", [x, paddings], [builder.output((3, 3), 0.1)])
    with pytest.raises(ModelError, match="input 1: must be constant"):
        lower(builder.build())
