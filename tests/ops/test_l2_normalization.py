"""L2_NORMALIZATION against TFLM."""

import numpy as np
import pytest
from hypothesis import given, settings
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, seeds, shapes
from support.tflm import needs_tflm
from support.unary_op import Quantization, unary_model

from tinyml_sdk.errors import ModelError

TO: Quantization = (1 / 128, 0)


@needs_tflm
def test_rows_of_every_length() -> None:
    """From squares that add up to 0 to the most there is: the square root is computed on the device."""
    rng = np.random.default_rng(0)
    reach = np.geomspace(0.5, 127, 400)[:, None]
    rows = np.rint(rng.uniform(-1, 1, (400, 12)) * reach)
    rows[0], rows[1], rows[2] = 0, np.eye(12)[3], -128
    values = rows.astype(np.int8)
    assert_equals_tflm(unary_model("L2_NORMALIZATION", (400, 12), ((0.1, 0), TO)), [[values]])
    assert_equals_tflm(unary_model("L2_NORMALIZATION", (2, 1, 30_000), ((0.1, 127), TO)))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(shape=shapes(max_rank=4, max_size=9, min_rank=1), of=quantizations(), seed=seeds())
def test_anything(shape: tuple[int, ...], of: Quantization, seed: int) -> None:
    assert_equals_tflm(unary_model("L2_NORMALIZATION", shape, (of, TO)), seed=seed)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("L2_NORMALIZATION", (3,), ((0.1, 0), TO), version=3), "version: is 3"),
        (unary_model("L2_NORMALIZATION", (3,), ((0.1, 0), TO), output_shape=(4,)), "output 0: shape"),
        (unary_model("L2_NORMALIZATION", (1,) * 5, ((0.1, 0), TO)), "input 0: shape: .* is not of 1 to 4 dimensions"),
        (unary_model("L2_NORMALIZATION", (3,), ((0.1, 0), (0.1, 0))), "output 0: quantization: .* not 1/128 and 0"),
        (
            unary_model("L2_NORMALIZATION", (40_000,), ((0.1, 0), TO)),
            "input 0: shape: a row of 40,000 elements",
        ),
        (
            unary_model("L2_NORMALIZATION", (3,), ((0.1, 0), TO), fused_activation_function="RELU"),
            "fused_activation_function: RELU cannot be fused",
        ),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(L2_NORMALIZATION\): {message}"):
        lower(model)
