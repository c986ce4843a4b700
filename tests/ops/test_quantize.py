"""QUANTIZE against TFLM."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import assert_equals_tflm, lower, run_generated
from support.strategies import quantizations, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from support.unary_op import EVERY_VALUE, Quantization, unary_model

from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph

BYTE_CASES: list[tuple[Quantization, Quantization]] = [
    ((0.1, -3), (0.1, -3)),
    ((0.1, -3), (0.1, 20)),
    ((0.05, -128), (0.07, 127)),
    ((0.2, 9), (0.003, -5)),
    ((1.0, 0), (2**-20, 0)),
    ((1e-12, 0), (1.0, 3)),
]


def float_model(shape: tuple[int, ...], *outputs: Quantization) -> bytes:
    builder = ModelBuilder()
    for output in outputs:
        x, y = builder.input(shape, dtype="float32"), builder.output(shape, *output)
        builder.op("QUANTIZE", [x], [y])
    return builder.build()


# -- from float32 -------------------------------------------------------------------------------------------------


@needs_tflm
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.1, 1 / 255, 3e-5, 77.7])
@pytest.mark.parametrize("zero_point", [-128, -1, 0, 127])
def test_numbers_around_every_border(scale: float, zero_point: int) -> None:
    """The halves between two steps, and the floats next to them, over more than the range of int8."""
    halves = (np.arange(-600, 600) / 2 * np.float32(scale)).astype(np.float32)
    around = [halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, np.float32(-np.inf))]
    values = np.concatenate(around)
    assert_equals_tflm(float_model(values.shape, (scale, zero_point)), [[values]])


@needs_tflm
def test_unusual_numbers() -> None:
    values = np.array([0.0, -0.0, 1e-45, -1e-45, 1e-38, 1e6, -1e6, 2e9, -2e9, 0.49999997, -0.49999997], np.float32)
    assert_equals_tflm(float_model(values.shape, (1.0, 5)), [[values]])


@pytest.mark.slow
def test_what_tflm_leaves_undefined() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e10, -1e10], np.float32)
    for zero_point in (-128, 5, 127):
        for results in run_generated(parse_graph(float_model(values.shape, (1e-3, zero_point))), [[values]]).values():
            assert results[0][0].tolist() == [zero_point, 127, -128, 127, -128, 127, -128]


@needs_tflm
@pytest.mark.slow
@settings(max_examples=30)
@given(shape=shapes(max_rank=6, max_size=4), output=quantizations())
def test_any_float_model(shape: tuple[int, ...], output: Quantization) -> None:
    assert_equals_tflm(float_model(shape, output))


# -- from bytes ---------------------------------------------------------------------------------------------------


@needs_tflm
def test_every_int8() -> None:
    assert_equals_tflm(unary_model("QUANTIZE", (256,), *BYTE_CASES), [[EVERY_VALUE] * len(BYTE_CASES)])


@needs_tflm
def test_every_uint8_to_int8() -> None:
    cases = [((scale, zero + 128), output) for (scale, zero), output in BYTE_CASES]
    model = unary_model("QUANTIZE", (256,), *cases, dtypes=("uint8", "int8"))
    assert_equals_tflm(model, [[np.arange(256).astype(np.uint8)] * len(cases)])


@needs_tflm
def test_every_int8_to_uint8() -> None:
    cases = [(of_input, (scale, zero + 128)) for of_input, (scale, zero) in BYTE_CASES]
    model = unary_model("QUANTIZE", (256,), *cases, dtypes=("int8", "uint8"))
    assert_equals_tflm(model, [[EVERY_VALUE] * len(cases)])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(st.tuples(quantizations(), quantizations()), min_size=8, max_size=8))
def test_every_value_of_any_quantization(cases: list[tuple[Quantization, Quantization]]) -> None:
    assert_equals_tflm(unary_model("QUANTIZE", (256,), *cases), [[EVERY_VALUE] * len(cases)])


def test_the_same_quantization_is_nothing_to_do() -> None:
    same, moved = lower(unary_model("QUANTIZE", (9,), *BYTE_CASES[:2]))
    assert same.is_copy
    assert not moved.is_copy


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (unary_model("QUANTIZE", (3,), BYTE_CASES[0], version=5), r"op 0 \(QUANTIZE\): version: is 5"),
        (unary_model("QUANTIZE", (3,), BYTE_CASES[0], output_shape=(4,)), "output 0: shape"),
        (unary_model("QUANTIZE", (3,), BYTE_CASES[0], dtypes=("int16", "int8")), "input 0: is int16"),
        (unary_model("QUANTIZE", (3,), ((0.1, 0), (0.1, 0)), dtypes=("float32", "uint8")), "output 0: is uint8"),
        (unary_model("QUANTIZE", (3,), ((1e30, 0), (1e-30, 0))), r"over 2\^22 times"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)


def test_bytes_without_a_scale_are_refused() -> None:
    builder = ModelBuilder()
    x, y = builder.input((3,), dtype="uint8"), builder.output((3,), 0.1)
    builder.op("QUANTIZE", [x], [y])
    with pytest.raises(ModelError, match="input 0: quantization: must have one scale"):
        lower(builder.build())
