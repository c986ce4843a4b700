"""BATCH_MATMUL against TFLM."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.strategies import broadcast_shapes, quantizations, seeds
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError

Shape = tuple[int, ...]
Q1, Q2, Q3 = (0.1, 5), (0.0698, -9), (0.9, 3)


def matmul_model(
    shape1: Shape,
    shape2: Shape,
    of: Any = (Q1, Q2, Q3),
    *,
    constant: bool = False,
    output: Shape | None = None,
    seed: int = 0,
    version: int = 2,
    **options: bool,
) -> bytes:
    """`constant`: the second input's values are in the file."""
    builder = ModelBuilder()
    x = builder.input(shape1, *of[0])
    values = np.random.default_rng(seed).integers(-128, 128, shape2).astype(np.int8)
    y = builder.constant(values, *of[1]) if constant else builder.input(shape2, *of[1])
    if output is None:
        one, other = (
            np.zeros(shape).swapaxes(-1, -2) if options.get(key) else np.zeros(shape)
            for shape, key in ((shape1, "adj_x"), (shape2, "adj_y"))
        )
        output = (one @ other).shape
    builder.op("BATCH_MATMUL", [x, y], [builder.output(output, *of[2])], version=version, **options)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize(
    ("shape1", "shape2", "options"),
    [
        ((1, 5, 7), (1, 7, 6), {}),
        ((2, 3, 5, 8), (2, 3, 4, 8), {"adj_y": True}),  # queries and keys
        ((5, 7), (3, 7, 4), {}),
        ((2, 6, 5), (6, 3), {"adj_x": True}),
    ],
)
def test_layouts(shape1: Shape, shape2: Shape, options: dict[str, bool]) -> None:
    assert_equals_tflm(matmul_model(shape1, shape2, **options))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=4)
@given(
    batches=broadcast_shapes(max_rank=3),
    sizes=st.tuples(*[st.integers(1, 9)] * 3),
    adj=st.tuples(st.booleans(), st.booleans()),
    constant=st.booleans(),
    of=st.tuples(*[quantizations()] * 3),
    seed=seeds(),
)
def test_anything(
    batches: tuple[Shape, Shape],
    sizes: tuple[int, int, int],
    adj: tuple[bool, bool],
    constant: bool,
    of: Any,
    seed: int,
) -> None:
    rows, depth, columns = sizes
    shape1 = (*batches[0], *((depth, rows) if adj[0] else (rows, depth)))
    shape2 = (*batches[1], *((columns, depth) if adj[1] else (depth, columns)))
    model = matmul_model(shape1, shape2, of, constant=constant, seed=seed, adj_x=adj[0], adj_y=adj[1])
    try:
        lower(model)
    except ModelError as error:
        assume("overflow 32 bits" not in str(error))
        raise
    assert_equals_tflm(model, seed=seed)


@pytest.mark.slow
def test_the_lead_is_what_it_takes() -> None:
    model = matmul_model((2, 5, 3), (2, 3, 6))
    lead = lower(model)[0].lead_of(0)
    assert lead is not None
    assert lower(model)[0].lead_of(1) is None
    assert works_at_distances(model, range(lead, lead + 3))
    assert breaks_one_byte_closer(model)


def test_what_is_read_again_must_not_be_overwritten() -> None:
    assert lower(matmul_model((1, 5, 3), (2, 3, 6)))[0].lead_of(0) is None
    assert lower(matmul_model((2, 3, 5), (2, 3, 6), adj_x=True))[0].lead_of(0) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (matmul_model((5, 7), (7, 6), version=5), "version: is 5"),
        (matmul_model((5, 7), (7, 6), output=(6, 5)), "output 0: shape"),
        (matmul_model((5, 7), (6, 7), output=(5, 7)), r"inputs: shape: \[5, 7\] and \[6, 7\] cannot be multiplied"),
        (matmul_model((2, 5, 7), (3, 7, 6), output=(3, 5, 6)), "inputs: shape: .* cannot be multiplied"),
        (matmul_model((7,), (7, 6), output=(6,)), "input 0: shape: .* is not of 2 to 5 dimensions"),
        (matmul_model((1, 40_000), (40_000, 1)), "inputs: shape: sums of 40,000 products can overflow 32 bits"),
        (matmul_model((5, 7), (7, 6), ((1.0, 0), (1.0, 0), (1e-7, 0))), "quantization: sums of 7 products"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(BATCH_MATMUL\): {message}"):
        lower(model)
