"""The assembler of the kernels for cores with the DSP extension: what tests/ops see of them is their twin in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.binary_op import binary_model
from support.filter_op import Numbers
from support.single_op import lower
from support.tflite_model import ModelBuilder
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.ops import depthwise_conv_2d
from tinyml_sdk.ops.selection import Refusal

pytestmark = pytest.mark.slow

MOST_PAIRS = 6
"""Of weights in a filter row for which the kernel that goes line by line has an instance of its own."""

CLAMPED = Numbers(factor=0.005, output_zero_point=-128, activation="RELU")
SIGNED = Numbers(factor=0.005)
GENERAL = Numbers(factor=0.005, activation="RELU")


def convolutions(numbers: Numbers, depth: int, channels: int, filter_: tuple[int, int]) -> bytes:
    """One over an image of 3x3 pixels, whose last one has no partner."""
    builder = ModelBuilder()
    x = builder.input((1, 3, 3, depth), numbers.input_scale, numbers.input_zero_point)
    weights = numbers.add_filter(builder, (channels, *filter_, depth))
    bias = numbers.add_bias(builder, channels)
    y = builder.output((1, 3, 3, channels), numbers.output_scale, numbers.output_zero_point)
    builder.op(
        "CONV_2D", [x, weights, *bias], [y], stride_h=1, stride_w=1, fused_activation_function=numbers.activation
    )
    return builder.build()


def transposed(numbers: Numbers, depth: int, channels: int) -> bytes:
    """3x3 of stride 2, whose outputs have one, two or four taps."""
    builder = ModelBuilder()
    shape = builder.constant(np.array((1, 10, 10, channels), np.int32))
    x = builder.input((1, 5, 5, depth), numbers.input_scale, numbers.input_zero_point)
    weights = numbers.add_filter(builder, (channels, 3, 3, depth))
    bias = numbers.add_bias(builder, channels)
    y = builder.output((1, 10, 10, channels), numbers.output_scale, numbers.output_zero_point)
    activation = {"fused_activation_function": numbers.activation}
    builder.op("TRANSPOSE_CONV", [shape, weights, x, *bias], [y], version=3, stride_h=2, stride_w=2, **activation)
    return builder.build()


def row(numbers: Numbers, depth: int, units: int) -> bytes:
    """A fully connected layer."""
    builder = ModelBuilder()
    x = builder.input((1, depth), numbers.input_scale, numbers.input_zero_point)
    weights = numbers.add_filter(builder, (units, depth))
    bias = numbers.add_bias(builder, units)
    y = builder.output((1, units), numbers.output_scale, numbers.output_zero_point)
    builder.op("FULLY_CONNECTED", [x, weights, *bias], [y], fused_activation_function=numbers.activation)
    return builder.build()


def pool(name: str) -> bytes:
    """3x3, over two blocks of channels and one more."""
    builder = ModelBuilder()
    x, y = builder.input((1, 5, 5, 9), 0.05, -7), builder.output((1, 5, 5, 9), 0.05, -7)
    builder.op(name, [x], [y], filter_height=3, filter_width=3, stride_h=1, stride_w=1)
    return builder.build()


def depthwise(
    numbers: Numbers, size: int, channels: int, stride: int, filter_: tuple[int, int] = (3, 3), multiplier: int = 1
) -> bytes:
    """One over a square image."""
    builder = ModelBuilder()
    x = builder.input((1, size, size, channels), numbers.input_scale, numbers.input_zero_point)
    weights = numbers.add_filter(builder, (1, *filter_, channels * multiplier), channel_axis=3)
    bias = numbers.add_bias(builder, channels * multiplier)
    outputs = -(-size // stride)
    y = builder.output((1, outputs, outputs, channels * multiplier), numbers.output_scale, numbers.output_zero_point)
    builder.op(
        "DEPTHWISE_CONV_2D",
        [x, weights, *bias],
        [y],
        stride_h=stride,
        stride_w=stride,
        depth_multiplier=multiplier,
        fused_activation_function=numbers.activation,
    )
    return builder.build()


def expect_equal(model: bytes, toolchain: str, folder: Path) -> None:
    """Build and run a model, and compare all of its outputs with TFLM's."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["builtin"])
    file = folder / "model.tflite"
    file.write_bytes(model)
    result = benchmark(file, board="mps2-an386", toolchain=toolchain, runs=1)
    assert result.check.bit_exact, result.check


def lines(numbers: Numbers, stride: int) -> bytes:
    """Depthwise layers one after another, one for each instance of the kernel that goes line by line."""
    builder = ModelBuilder()
    height, width, channels = 4, 7 if stride == 1 else 130, 6
    x = builder.input((1, height, width, channels), numbers.input_scale, numbers.input_zero_point)
    for pairs in range(1, MOST_PAIRS + 2):
        taps = 2 * pairs - pairs % 2 if stride == 2 else 2 * pairs - 2 + pairs % 2
        weights = numbers.add_filter(builder, (1, min(pairs, 2), taps, channels), channel_axis=3)
        bias = numbers.add_bias(builder, channels)
        width = -(-width // stride)
        y = builder.output((1, height, width, channels), numbers.output_scale, numbers.output_zero_point)
        builder.op(
            "DEPTHWISE_CONV_2D",
            [x, weights, *bias],
            [y],
            stride_h=1,
            stride_w=stride,
            depth_multiplier=1,
            fused_activation_function=numbers.activation,
        )
        x = y
    return builder.build()


@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("numbers", [CLAMPED, SIGNED, GENERAL], ids=["clamped", "signed", "general"])
def test_line_by_line_equals_tflm(
    numbers: Numbers, stride: int, toolchain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthwise_conv_2d, "_PORTABLE_COST", 1e6)
    monkeypatch.setattr(depthwise_conv_2d, "dsp_depthwise_taps", lambda *_: Refusal("taps", "for this test"))
    model = lines(numbers, stride)
    assert {layer.kernel for layer in lower(model, CORES["cortex-m4"])} == {"tinyml_dsp_depthwise_lines"}
    expect_equal(model, toolchain, tmp_path)


@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
@pytest.mark.parametrize(
    "model",
    [
        # Every way into the loop of eight steps, every number of channels in the last block.
        convolutions(CLAMPED, 4, 4, (1, 1)),
        convolutions(SIGNED, 8, 9, (1, 1)),
        convolutions(GENERAL, 12, 6, (1, 1)),
        convolutions(CLAMPED, 16, 7, (1, 1)),
        convolutions(SIGNED, 36, 5, (1, 1)),
        # Runs of an odd and of an even number of words, with and without bytes left over.
        convolutions(CLAMPED, 4, 8, (3, 3)),
        convolutions(SIGNED, 3, 8, (3, 3)),
        convolutions(GENERAL, 1, 8, (2, 3)),
        # A word that ends with its run; with the image's first one, it would begin before.
        convolutions(CLAMPED, 3, 5, (1, 1)),
        convolutions(SIGNED, 1, 6, (3, 3)),
        convolutions(CLAMPED, 2, 2, (3, 3)),
        transposed(CLAMPED, 8, 8),
        transposed(SIGNED, 3, 6),
        row(CLAMPED, 4, 12),
        row(SIGNED, 8, 20),
        row(GENERAL, 15, 9),
        row(CLAMPED, 28, 19),
        row(SIGNED, 32, 2),
        # Pairs of columns and a last one, a last row without a partner, a group of channels that overlaps another.
        depthwise(CLAMPED, 9, 7, 1),
        depthwise(SIGNED, 9, 7, 1),
        depthwise(GENERAL, 9, 7, 1),
        depthwise(CLAMPED, 9, 7, 2),
        depthwise(SIGNED, 9, 7, 2),
        depthwise(CLAMPED, 8, 4, 1),
        depthwise(SIGNED, 8, 4, 2),
        binary_model("SUB", (2, 23), (2, 23)),
        # Filters that are not 3x3, a number of channels that is no multiple of four, two outputs for each channel.
        depthwise(SIGNED, 7, 10, 1, (5, 5)),
        depthwise(GENERAL, 7, 6, 2, (5, 2), 2),
        depthwise(CLAMPED, 9, 8, 1, (7, 7)),
        pool("AVERAGE_POOL_2D"),
        pool("MAX_POOL_2D"),
    ],
)
def test_equals_tflm(model: bytes, toolchain: str, tmp_path: Path) -> None:
    expect_equal(model, toolchain, tmp_path)
