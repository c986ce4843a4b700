"""RELU against TFLM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, shapes
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError

CASES: list[tuple[Quantization, Quantization]] = [
    ((0.1, -3), (0.1, -3)),
    ((0.1, -128), (0.1, -128)),
    ((0.1, 127), (0.1, 127)),
    ((0.1, -3), (0.05, -128)),
    ((0.05, -3), (0.1, 10)),
    ((0.1, 0), (0.1, -128)),  # the same scale, moved
    ((1.0, 0), (1e-5, -128)),  # all or nothing
    ((1e-12, 0), (1.0, 0)),  # flushed to zero
    # Factors in single precision, as TFLM had them until 2026, would round one value of these differently.
    ((0.06261662393808365, -128), (0.13839004933834076, -128)),
    ((0.0932517945766449, -128), (0.11730614304542542, -128)),
]


@needs_tflm
def test_every_value() -> None:
    assert_equals_tflm(unary_model("RELU", (256,), *CASES), [[EVERY_VALUE] * len(CASES)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.tuples(quantizations(), quantizations()), min_size=8, max_size=8))
def test_every_value_of_any_quantization(cases: list[tuple[Quantization, Quantization]]) -> None:
    assert_equals_tflm(unary_model("RELU", (256,), *cases), [[EVERY_VALUE] * len(cases)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=15)
@given(shape=shapes(max_rank=6, max_size=4), case=st.sampled_from(CASES))
def test_shapes(shape: tuple[int, ...], case: tuple[Quantization, Quantization]) -> None:
    assert_equals_tflm(unary_model("RELU", shape, case))


def test_a_table_takes_flash_only_where_the_quantization_changes() -> None:
    same, changed = lower(unary_model("RELU", (9,), ((0.1, -3), (0.1, -3)), ((0.1, -3), (0.2, -3))))
    assert not same.constants
    assert [constant.values.nbytes for constant in changed.constants] == [256]


def test_without_negative_values_nothing_is_left_to_do() -> None:
    (layer,) = lower(unary_model("RELU", (9,), ((0.1, -128), (0.1, -128))))
    assert layer.is_copy
    (layer,) = lower(unary_model("RELU", (9,), ((0.1, -127), (0.1, -127))))
    assert not layer.is_copy


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("RELU", (3,), CASES[0], version=4), r"op\.tflite: op 0 \(RELU\): version: is 4"),
        (unary_model("RELU", (3,), CASES[0], output_shape=(4,)), "output 0: shape"),
        (unary_model("RELU", (3,), ((0.1, 0), (0.1, 0)), dtypes=("float32", "int8")), "input 0: is float32"),
        (unary_model("RELU", (3,), ((1.0, 0), (2**-23, 0))), r"over 2\^22 times"),
        (unary_model("RELU", (3,), ((1e30, 0), (1e-30, 0))), r"over 2\^22 times"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


def test_every_value_is_every_value() -> None:
    assert len(np.unique(EVERY_VALUE)) == 256
