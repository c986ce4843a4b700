"""SOFTMAX against TFLM."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower, run_generated
from support.strategies import scales, shapes, zero_points
from support.tflm import TflmRefusalError, needs_tflm, run_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph

TO: Quantization = (1 / 256, -128)
SCALES = [0.1, 0.0473, 0.0625, 0.17, 0.5, 1.0, 3.0, 17.0, 1000.0, 0.004, 1e-5, 1.6e-8]


def model_of(shape: tuple[int, ...], *scales: float, beta: float = 1.0) -> bytes:
    return unary_model("SOFTMAX", shape, *(((scale, 3), TO) for scale in scales), beta=beta)


@needs_tflm
@pytest.mark.parametrize("beta", [1.0, 0.1, 2.5])
def test_every_pair(beta: float) -> None:
    """Rows of two: all 65,536 of them."""
    column, row = np.meshgrid(EVERY_VALUE, EVERY_VALUE)
    pairs = np.stack([column.ravel(), row.ravel()], axis=1)
    for scale in (0.1, 0.0473, 1.0):
        assert_equals_tflm(model_of((65536, 2), scale, beta=beta), [[pairs]])


@needs_tflm
@pytest.mark.slow
def test_every_difference_of_many_scales() -> None:
    pairs = np.stack([np.full(256, 127, np.int8), EVERY_VALUE], axis=1)
    assert_equals_tflm(model_of((256, 2), *SCALES), [[pairs] * len(SCALES)])


@needs_tflm
@pytest.mark.parametrize(
    "shape", [(1, 1), (7,), (1, 10), (3, 12), (2, 3, 5), (1, 2, 2, 3), (1, 1, 1, 1, 2, 6), (1, 100), (1, 511), (2, 300)]
)
def test_shapes(shape: tuple[int, ...]) -> None:
    assert_equals_tflm(model_of(shape, 0.113))


@needs_tflm
@pytest.mark.parametrize("scale", [0.013, 0.03, 0.07])
def test_many_sums(scale: float) -> None:
    """20,000 rows, so that the last bits of the division show in some."""
    rng = np.random.default_rng(0)
    rows = np.rint(rng.normal(0, 30, (20_000, 7))).clip(-128, 127).astype(np.int8)
    assert_equals_tflm(model_of(rows.shape, scale), [[rows]])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(
    shape=shapes(max_rank=4, max_size=12, min_rank=1),
    of_input=st.tuples(scales(-12, 5), zero_points()),
    beta=scales(-3, 2),
)
def test_anything(shape: tuple[int, ...], of_input: Quantization, beta: float) -> None:
    assert_equals_tflm(unary_model("SOFTMAX", shape, (of_input, TO), beta=beta))


@needs_tflm
def test_a_thousand_classes() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(-128, 100, (1, 1000)).astype(np.int8) for _ in range(8)]
    for number, row in enumerate(rows):
        row[0, number * 100] = 127 - number
    assert_equals_tflm(model_of((1, 1000), 0.15), [[row] for row in rows])


@needs_tflm
@pytest.mark.slow
def test_where_tflm_aborts_every_share_is_zero() -> None:
    """512 equal values: each share, 1/512, is half of the smallest output, and TFLM dies of the shift that takes."""
    model, row = model_of((1, 512), 0.1), np.full((1, 512), 7, np.int8)
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[row]])
    for results in run_generated(parse_graph(model), [[row]]).values():
        assert (results[0][0] == -128).all()


def test_most_values_at_once() -> None:
    model, row = model_of((1, 4095), 0.1), np.full((1, 4095), -128, np.int8)
    for results in run_generated(parse_graph(model), [[row]]).values():
        assert (results[0][0] == -128).all()


@pytest.mark.parametrize("scale", [0.1, 0.25, 1.0, 10.0])
def test_the_table_is_as_long_as_exp_counts(scale: float) -> None:
    (layer,) = lower(model_of((1, 10), scale))
    (table,) = (constant.values for constant in layer.constants)
    assert abs(len(table) - min(256, 13.86 / scale + 1)) <= 1
    assert np.abs(table / 2**31 - [exp(-scale * difference) for difference in range(len(table))]).max() < 3e-7


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("SOFTMAX", (3,), ((0.1, 0), TO), beta=1.0, version=4), r"op 0 \(SOFTMAX\): version: is 4"),
        (unary_model("SOFTMAX", (3,), ((0.1, 0), TO), beta=1.0, output_shape=(4,)), "output 0: shape"),
        (unary_model("SOFTMAX", (3,), ((0.1, 0), (1 / 256, 0)), beta=1.0), "output 0: quantization"),
        (unary_model("SOFTMAX", (3,), ((0.1, 0), (1 / 255, -128)), beta=1.0), "output 0: quantization"),
        (model_of((), 0.1), "input 0: shape: has no dimension"),
        (model_of((1, 4096), 0.1), "input 0: shape: the sum of 4096 values can overflow"),
        (model_of((3,), 1e-9), "beta: 1 x scale 1e-09"),
        (model_of((3,), 0.1, beta=0.0), "beta: 0 x"),
        (model_of((3,), 0.1, beta=-1.0), "beta: -1 x"),
        (model_of((3,), 0.1, beta=float("nan")), "beta: nan x"),
        (model_of((3,), 0.1, beta=float("inf")), "beta: inf x"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


@needs_tflm
@pytest.mark.parametrize(
    "model",
    [
        unary_model("SOFTMAX", (3,), ((0.1, 0), (1 / 256, 0)), beta=1.0),
        unary_model("SOFTMAX", (3,), ((0.1, 0), (1 / 255, -128)), beta=1.0),
        model_of((3,), 1e-9),
        model_of((3,), 0.1, beta=0.0),
        model_of((3,), 0.1, beta=-1.0),
    ],
)
def test_tflm_refuses_them_too(model: bytes) -> None:
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[np.zeros(3, np.int8)]])
