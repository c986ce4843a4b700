"""MEAN against TFLM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, seeds, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


def mean_model(
    shape: Sequence[int],
    axes: Sequence[int] | int,
    keep_dims: bool = False,
    input_quantization: tuple[float, int] = (0.05, -7),
    output_quantization: tuple[float, int] = (0.03, 5),
    *,
    output_shape: Sequence[int] | None = None,
    dtype: type = np.int32,
    version: int = 1,
) -> bytes:
    builder = ModelBuilder()
    x = builder.input(shape, *input_quantization)
    reduced = {axis % len(shape) for axis in np.atleast_1d(axes)}
    wanted = [1 if axis in reduced else size for axis, size in enumerate(shape) if keep_dims or axis not in reduced]
    y = builder.output(wanted if output_shape is None else output_shape, *output_quantization)
    builder.op("MEAN", [x, builder.constant(np.array(axes, dtype))], [y], keep_dims=keep_dims, version=version)
    return builder.build()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(shapes(max_rank=6, max_size=5, min_rank=1))
    axes = st.integers(-len(shape), len(shape) - 1)
    return {
        "shape": shape,
        "axes": draw(st.lists(axes, min_size=1, max_size=len(shape) + 1) | axes),
        "keep_dims": draw(st.booleans()),
        "input_quantization": draw(quantizations()),
        "output_quantization": draw(quantizations()),
    }


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(case=cases(), seed=seeds())
def test_anything(case: dict[str, Any], seed: int) -> None:
    assert_equals_tflm(mean_model(**case), seed=seed)


@needs_tflm
@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 7, 7, 19), (1, 2)),  # global average pooling
        ((2, 5, 3, 8), (2, 1)),
        ((1, 7, 7, 19), (-2, -3)),
        ((2, 3, 4), (1, 1, -2)),  # the same axis three times
        ((2, 3, 4), 2),  # a scalar
        ((3, 5), (0, 1)),  # nothing is left
        ((2, 1, 3, 2, 3, 2), (0, 2, 4)),  # alternating, from the first
        ((2, 3, 2, 3, 2, 3), (1, 3, 5)),  # alternating, to the last
        ((1, 300, 300, 2), (1, 2)),  # many elements
        ((5, 1), 1),  # one
    ],
)
def test_axes(shape: Sequence[int], axes: Sequence[int] | int, keep_dims: bool) -> None:
    assert_equals_tflm(mean_model(shape, axes, keep_dims))


@needs_tflm
@pytest.mark.parametrize("exponent", [-40, -33, -32, -31, -28, -20, -1, 0, 3, 12])
def test_ratios_of_the_scales(exponent: int) -> None:
    """From multipliers flushed to zero, by shifts that leave no bit for the division, to scaling up."""
    assert_equals_tflm(mean_model((3, 50), (1,), False, (1.3 * 2.0**exponent, 100), (1.0, -3)))


def test_works_in_place_and_no_further() -> None:
    for axes in ((1,), (0,), (0, 2)):
        model = mean_model((3, 4, 5), axes)
        assert lower(model)[0].lead_of(0) == 0
    assert breaks_one_byte_closer(mean_model((6, 1), (1,)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (mean_model((2, 3), (0,), version=4), "version: is 4"),
        (mean_model((2, 3), (2,), output_shape=(2,)), "input 1: axis 2 is outside"),
        (mean_model((2, 3), (-3,), output_shape=(2,)), "input 1: axis -3 is outside"),
        (mean_model((2, 3), (1,), output_shape=(2, 1)), "output 0: shape"),
        (mean_model((2, 3), (1,), keep_dims=True, output_shape=(2,)), "output 0: shape"),
        (mean_model((2, 3), (1,), dtype=np.int64), "input 1: is int64"),
        (mean_model((2, 3), (1,), False, (1.0, 0), (1e-9, 0)), "quantization: the sum of 3 elements"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(MEAN\): {message}"):
        lower(model)


def test_computed_axes_are_refused() -> None:
    builder = ModelBuilder()
    x, axes = builder.input((2, 3), 0.1), builder.input((1,), dtype="int32")
    builder.op("MEAN", [x, axes], [builder.output((2,), 0.1)])
    with pytest.raises(ModelError, match="input 1: must be constant"):
        lower(builder.build())
