"""TRANSPOSE against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.strategies import seeds, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


def transpose_model(
    shape: Sequence[int], permutation: Sequence[int], *, output: Sequence[int] | None = None, version: int = 2
) -> bytes:
    builder = ModelBuilder()
    x = builder.input(shape, 0.1, -3)
    y = builder.output([shape[axis] for axis in permutation] if output is None else output, 0.2, 4)
    builder.op("TRANSPOSE", [x, builder.constant(np.array(permutation, np.int32))], [y], version=version)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize(
    ("shape", "permutation"),
    [
        ((2, 3, 4, 5), (0, 3, 1, 2)),  # NHWC to NCHW
        ((7, 9), (1, 0)),
        ((1, 6, 5, 20), (0, 2, 1, 3)),  # rows of 20 bytes
        ((2, 3, 2, 3, 2), (4, 3, 2, 1, 0)),  # nothing to merge
    ],
)
def test_permutations(shape: Sequence[int], permutation: Sequence[int]) -> None:
    model = transpose_model(shape, permutation)
    assert_equals_tflm(model)
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert 0 < lead < np.prod(shape)
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(shape=shapes(max_rank=5, max_size=6, min_rank=1), seed=seeds())
def test_anything(shape: tuple[int, ...], seed: int) -> None:
    assert_equals_tflm(transpose_model(shape, np.random.default_rng(seed).permutation(len(shape)).tolist()))


def test_nothing_is_left_to_do_where_only_ones_move() -> None:
    (layer,) = lower(transpose_model((1, 4, 1, 5), (2, 1, 0, 3)))
    assert layer.is_copy
    assert layer.lead_of(0) == 0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (transpose_model((2, 3), (1, 0), version=7), "version: is 7"),
        (transpose_model((2, 3), (1, 0), output=(2, 3)), "output 0: shape"),
        (transpose_model((2, 3), (1, 1)), r"input 1: \[1, 1\] is no permutation of 2 dimensions"),
        (transpose_model((2, 3), (0,), output=(3, 2)), r"input 1: \[0\] is no permutation of 2 dimensions"),
        (transpose_model((1,) * 6, (0, 1, 2, 3, 4, 5)), "input 0: shape: .* has 6 dimensions, not 1 to 5"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(TRANSPOSE\): {message}"):
        lower(model)


def test_a_computed_permutation_is_refused() -> None:
    builder = ModelBuilder()
    x, permutation = builder.input((2, 3), 0.1), builder.input((2,), dtype="int32")
    builder.op("TRANSPOSE", [x, permutation], [builder.output((3, 2), 0.1)])
    with pytest.raises(ModelError, match="input 1: must be constant"):
        lower(builder.build())
