"""Weights of four bits, as TFLM has them: it unpacks them to int8."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.errors import ModelError, ToolError
from tinyml_sdk.graph import parse_graph

NUMBERS = Numbers(filter_scale=0.2, factor=0.02)


def weights_of(*shape: int) -> np.ndarray:
    return NUMBERS.rng.integers(-8, 8, shape)


def convolution(channels: int = 5, depth: int = 7, filter_: int = 3) -> bytes:
    """One whose filter has an odd number of weights."""
    builder = ModelBuilder()
    x = builder.input((1, 5, 5, depth), NUMBERS.input_scale, NUMBERS.input_zero_point)
    scales = np.float32(NUMBERS.filter_scale * NUMBERS.rng.uniform(0.3, 1.0, channels))
    weights = builder.packed_constant(weights_of(channels, filter_, filter_, depth), scales.tolist())
    bias = NUMBERS.add_bias(builder, channels)
    y = builder.output((1, 5, 5, channels), NUMBERS.output_scale, NUMBERS.output_zero_point)
    builder.op("CONV_2D", [x, weights, *bias], [y], stride_h=1, stride_w=1)
    return builder.build()


def depthwise() -> bytes:
    builder = ModelBuilder()
    x = builder.input((1, 5, 5, 7), NUMBERS.input_scale, NUMBERS.input_zero_point)
    weights = builder.packed_constant(weights_of(1, 3, 3, 7), [NUMBERS.filter_scale] * 7, axis=3)
    bias = NUMBERS.add_bias(builder, 7)
    y = builder.output((1, 5, 5, 7), NUMBERS.output_scale, NUMBERS.output_zero_point)
    builder.op("DEPTHWISE_CONV_2D", [x, weights, *bias], [y], stride_h=1, stride_w=1, depth_multiplier=1)
    return builder.build()


def dense(rows: int = 1, *, scales: int = 1) -> bytes:
    builder = ModelBuilder()
    x = builder.input((rows, 33), NUMBERS.input_scale, NUMBERS.input_zero_point)
    weights = builder.packed_constant(weights_of(5, 33), [NUMBERS.filter_scale] * scales)
    bias = NUMBERS.add_bias(builder, 5)
    y = builder.output((rows, 5), NUMBERS.output_scale, NUMBERS.output_zero_point)
    builder.op("FULLY_CONNECTED", [x, weights, *bias], [y])
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("model", [convolution(), depthwise(), dense(), dense(4)])
def test_equals_tflm(model: bytes) -> None:
    assert_equals_tflm(model)


def test_the_values_are_those_of_the_file() -> None:
    tensor = parse_graph(convolution(), "op.tflite").tensors[1]
    assert tensor.packed
    assert tensor.data is not None
    np.testing.assert_array_equal(tensor.data, weights_of(5, 3, 3, 7))
    assert (tensor.data.min(), tensor.data.max()) == (-8, 7)


def test_for_size_they_stay_packed() -> None:
    model = convolution(64, 128, 1)
    speed, size = (lower(model, CORES["cortex-m4"], kind)[0] for kind in ("speed", "size"))
    bytes_of = [sum(constant.values.nbytes for constant in layer.constants) for layer in (speed, size)]
    assert bytes_of[0] > 64 * 128
    assert bytes_of[1] < 64 * (64 + 16)


def test_int4_elsewhere_is_refused() -> None:
    builder = ModelBuilder()
    x = builder.input((1, 8), 0.1)
    weights = builder.packed_constant(np.ones((1, 8)), 0.1)
    builder.op("ADD", [x, weights], [builder.output((1, 8), 0.1)])
    with pytest.raises(ModelError, match=r"op 0 \(ADD\): tensor 1 is int4"):
        parse_graph(builder.build(), "op.tflite")


def test_dense_layers_have_one_scale_as_in_tflm() -> None:
    with pytest.raises(ModelError, match=r"op 0 \(FULLY_CONNECTED\): tensor 1 is int4 with 5 scales"):
        parse_graph(dense(scales=5), "op.tflite")


@needs_tflm
def test_tflm_refuses_more_scales_too() -> None:
    with pytest.raises(ToolError):
        TflmReference(dense(scales=5)).run([[np.zeros((1, 33), np.int8)]])


def test_too_few_bytes() -> None:
    """One is cut off of an odd number of weights."""
    builder = ModelBuilder()
    x = builder.input((1, 1, 1, 3), 0.1)
    weights = builder.packed_constant(np.ones((1, 1, 1, 3)), 0.1, cut=1)
    builder.op("CONV_2D", [x, weights], [builder.output((1, 1, 1, 1), 0.1)], stride_h=1, stride_w=1)
    with pytest.raises(ModelError, match="holds 1 bytes"):
        parse_graph(builder.build(), "op.tflite")


@needs_tflm
@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.floats(2**-7, 0.49), st.sampled_from([-128, 5]), st.integers(0, 99))
def test_small_depthwise_weights_keep_the_fast_kernel(factor: float, zero: int, seed: int) -> None:
    """Their scale is large, and the more they can be shifted before the product."""
    rng = np.random.default_rng(seed)
    builder = ModelBuilder()
    x = builder.input((1, 6, 6, 5), 0.05, -3)
    weights = builder.packed_constant(rng.integers(-7, 8, (1, 3, 3, 5)), [0.2, 0.17, 0.19, 0.13, 0.2], axis=3)
    bias = builder.constant(rng.integers(-300, 300, 5).astype(np.int32), 0.01)
    y = builder.output((1, 6, 6, 5), float(np.float32(0.05 * 0.2 / factor)), zero)
    builder.op("DEPTHWISE_CONV_2D", [x, weights, bias], [y], stride_h=1, stride_w=1, depth_multiplier=1)
    model = builder.build()
    (layer,) = lower(model, CORES["cortex-m4"])
    assert layer.kernel == f"tinyml_dsp_depthwise_stride1_{'relu' if zero == -128 else 'signed'}"
    assert_equals_tflm(model, seed=seed, cores=[CORES["cortex-m4"]])
