"""A model of many small layers side by side, each with inputs and an output of its own: one build runs them all."""

from __future__ import annotations

import numpy as np

from .filter_op import Numbers
from .tflite_model import ModelBuilder

NUMBERS = (
    Numbers(factor=0.005, output_zero_point=-128, activation="RELU"),
    Numbers(factor=0.005),
    Numbers(factor=0.003, per_channel=False, bias=False),
    Numbers(factor=0.005, activation="RELU"),
    Numbers(factor=0.02, activation="RELU6"),
    Numbers(factor=0.7),
    Numbers(factor=0.9, input_zero_point=127, output_zero_point=-128),
    Numbers(factor=1e-7, bias=False),
)
"""Clamped, signed and general outputs; shifts that are none, tiny or all alike."""


def many_layers(layers: int, seed: int) -> bytes:
    """A model of random layers of the kinds that have kernels of their own on some core."""
    builder, rng = ModelBuilder(), np.random.default_rng(seed)
    for index in range(layers):
        numbers = NUMBERS[rng.integers(len(NUMBERS))]
        numbers = Numbers(**{**vars(numbers), "seed": int(rng.integers(2**31))})
        kind = (_convolution, _pointwise, _fully_connected, _depthwise, _depthwise, _sum)[index % 6]
        kind(builder, rng, numbers)
    return builder.build()


def _convolution(builder: ModelBuilder, rng: np.random.Generator, n: Numbers) -> None:
    height, width, filter_height, filter_width = (int(rng.integers(1, most)) for most in (8, 8, 5, 5))
    depth, channels = int(rng.integers(1, 21)), int(rng.integers(1, 21))
    stride, dilation = (int(rng.integers(1, 3)) for _ in range(2))
    x = builder.input((1, height, width, depth), n.input_scale, n.input_zero_point)
    weights = n.add_filter(builder, (channels, filter_height, filter_width, depth))
    bias = n.add_bias(builder, channels)
    y = builder.output((1, -(-height // stride), -(-width // stride), channels), n.output_scale, n.output_zero_point)
    builder.op(
        "CONV_2D",
        [x, weights, *bias],
        [y],
        stride_h=stride,
        stride_w=stride,
        dilation_h_factor=dilation,
        dilation_w_factor=dilation,
        fused_activation_function=n.activation,
    )


def _pointwise(builder: ModelBuilder, rng: np.random.Generator, n: Numbers) -> None:
    height, width = (int(rng.integers(1, 5)) for _ in range(2))
    depth, channels = int(rng.integers(1, 90)), int(rng.integers(1, 90))
    x = builder.input((1, height, width, depth), n.input_scale, n.input_zero_point)
    weights = n.add_filter(builder, (channels, 1, 1, depth))
    bias = n.add_bias(builder, channels)
    y = builder.output((1, height, width, channels), n.output_scale, n.output_zero_point)
    builder.op("CONV_2D", [x, weights, *bias], [y], stride_h=1, stride_w=1, fused_activation_function=n.activation)


def _fully_connected(builder: ModelBuilder, rng: np.random.Generator, n: Numbers) -> None:
    depth, units = int(rng.integers(1, 140)), int(rng.integers(1, 80))
    x = builder.input((1, depth), n.input_scale, n.input_zero_point)
    weights = n.add_filter(builder, (units, depth))
    bias = n.add_bias(builder, units)
    y = builder.output((1, units), n.output_scale, n.output_zero_point)
    builder.op("FULLY_CONNECTED", [x, weights, *bias], [y], fused_activation_function=n.activation)


def _depthwise(builder: ModelBuilder, rng: np.random.Generator, n: Numbers) -> None:
    height, width, channels = int(rng.integers(1, 10)), int(rng.integers(1, 14)), int(rng.integers(1, 37))
    stride = int(rng.integers(1, 3))
    x = builder.input((1, height, width, channels), n.input_scale, n.input_zero_point)
    weights = n.add_filter(builder, (1, 3, 3, channels), channel_axis=3)
    bias = n.add_bias(builder, channels)
    y = builder.output((1, -(-height // stride), -(-width // stride), channels), n.output_scale, n.output_zero_point)
    builder.op(
        "DEPTHWISE_CONV_2D",
        [x, weights, *bias],
        [y],
        stride_h=stride,
        stride_w=stride,
        depth_multiplier=1,
        fused_activation_function=n.activation,
    )


def _sum(builder: ModelBuilder, rng: np.random.Generator, n: Numbers) -> None:
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 30)))
    inputs = [builder.input(shape, float(rng.uniform(0.02, 0.1)), int(rng.integers(-128, 128))) for _ in range(2)]
    y = builder.output(shape, 0.1, n.output_zero_point)
    builder.op(str(rng.choice(["ADD", "SUB"])), inputs, [y])
