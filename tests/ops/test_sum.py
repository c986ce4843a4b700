"""SUM, REDUCE_MAX and REDUCE_MIN against TFLM; what they share with MEAN is tested there."""

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
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

NAMES = ("SUM", "REDUCE_MAX", "REDUCE_MIN")
Quantization = tuple[float, int]
AXES: list[tuple[Sequence[int], Sequence[int] | int]] = [
    ((1, 7, 6, 19), (1, 2)),  # global pooling
    ((3, 5, 9), 2),
    ((2, 3, 2, 3, 2, 3), (-5, 3, 5)),
    ((3, 5), (0, 1)),  # nothing is left
]


def add_reduction(
    builder: ModelBuilder,
    name: str,
    shape: Sequence[int],
    axes: Sequence[int] | int,
    keep_dims: bool = False,
    of: tuple[Quantization, Quantization] = ((0.05, -7), (0.13, 5)),
    *,
    output_shape: Sequence[int] | None = None,
    version: int = 2,
) -> None:
    """`of`: the quantizations of input and output; REDUCE_MAX and REDUCE_MIN have the first for both."""
    x = builder.input(shape, *of[0])
    reduced = {axis % len(shape) for axis in np.atleast_1d(axes)}
    wanted = [1 if axis in reduced else size for axis, size in enumerate(shape) if keep_dims or axis not in reduced]
    y = builder.output(wanted if output_shape is None else output_shape, *of[1 if name == "SUM" else 0])
    constant = builder.constant(np.array(axes, np.int32))
    builder.op(name, [x, constant], [y], keep_dims=keep_dims, version=version)


def reduction_model(*args: Any, **options: Any) -> bytes:
    builder = ModelBuilder()
    add_reduction(builder, *args, **options)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("name", NAMES)
def test_axes(name: str) -> None:
    builder = ModelBuilder()
    for shape, axes in AXES:
        add_reduction(builder, name, shape, axes, name == "SUM")
    assert_equals_tflm(builder.build())


@needs_tflm
@pytest.mark.slow
@settings(max_examples=4)
@given(
    name=st.sampled_from(NAMES),
    shape=shapes(max_rank=6, max_size=5, min_rank=1),
    axes=st.sets(st.integers(0, 5), min_size=1),
    keep_dims=st.booleans(),
    of=st.tuples(quantizations(), quantizations()),
    seed=seeds(),
)
def test_anything(
    name: str,
    shape: tuple[int, ...],
    axes: set[int],
    keep_dims: bool,
    of: tuple[Quantization, Quantization],
    seed: int,
) -> None:
    rank = len(shape)
    model = reduction_model(name, shape, [axis % (2 * rank) - rank for axis in axes], keep_dims, of)
    assert_equals_tflm(model, seed=seed)


@pytest.mark.parametrize("name", NAMES)
def test_works_in_place_and_no_further(name: str) -> None:
    assert breaks_one_byte_closer(reduction_model(name, (6, 1), (1,)))


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_is_refused(name: str) -> None:
    for model, message in [
        (reduction_model(name, (2, 3), (0,), version=4), "version: is 4"),
        (reduction_model(name, (2, 3), (2,), output_shape=(2,)), "input 1: axis 2 is outside"),
        (reduction_model(name, (2, 3), (1,), output_shape=(2, 1)), "output 0: shape"),
    ]:
        with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \({name}\): {message}"):
            lower(model)


def test_a_sum_that_could_overflow_is_refused() -> None:
    with pytest.raises(ModelError, match="quantization: the sum of 3 elements"):
        lower(reduction_model("SUM", (2, 3), (1,), of=((1.0, 0), (1e-9, 0))))


@needs_tflm
def test_tflm_too_refuses_to_rescale_a_maximum() -> None:
    builder = ModelBuilder()
    x, y = builder.input((2, 3), 0.1), builder.output((2,), 0.2)
    builder.op("REDUCE_MAX", [x, builder.constant(np.array([1], np.int32))], [y])
    with pytest.raises(ModelError, match=r"input 0: quantization: .* differ from the output's"):
        lower(builder.build())
    with pytest.raises(TflmRefusalError):
        run_tflm(builder.build(), [[np.zeros((2, 3), np.int8)]])
