"""ARG_MAX and ARG_MIN against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.strategies import seeds, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

NAMES = ("ARG_MAX", "ARG_MIN")


def arg_model(
    name: str,
    shape: Sequence[int],
    axis: int,
    *,
    output: Sequence[int] | None = None,
    dtype: str = "int32",
    version: int = 2,
) -> bytes:
    builder = ModelBuilder()
    x = builder.input(shape, 0.1, -3)
    left = np.delete(np.array(shape), axis).tolist() if output is None else output
    constant = builder.constant(np.array(axis, np.int32))
    builder.op(name, [x, constant], [builder.output(left, dtype=dtype)], version=version)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "axis"), [((1, 10), -1), ((2, 5, 3), 1), ((4, 3), 0)])
def test_axes(name: str, shape: Sequence[int], axis: int) -> None:
    assert_equals_tflm(arg_model(name, shape, axis))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(st.sampled_from(NAMES), shapes(max_rank=5, max_size=5, min_rank=2), st.integers(0, 9), seeds())
def test_anything(name: str, shape: tuple[int, ...], axis: int, seed: int) -> None:
    assert_equals_tflm(arg_model(name, shape, axis % (2 * len(shape)) - len(shape)), seed=seed)


@pytest.mark.slow
def test_the_lead_is_what_it_takes() -> None:
    model = arg_model("ARG_MAX", (5, 3), 1)
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)
    assert lower(arg_model("ARG_MAX", (5, 4), 1))[0].lead_of(0) == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_is_refused(name: str) -> None:
    for model, message in [
        (arg_model(name, (2, 3), 1, version=4), "version: is 4"),
        (arg_model(name, (2, 3), 1, output=(3,)), "output 0: shape"),
        (arg_model(name, (2, 3), 1, dtype="int64"), "output 0: is int64, not int32"),
        (arg_model(name, (2, 3), 2, output=(2,)), "input 1: 2 is no axis of 2 dimensions"),
    ]:
        with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \({name}\): {message}"):
            lower(model)
