"""Kernels for cores without SIMD as compilers make them; the assembler for Armv6-M, whose twin in C tests/ops sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tflite_model import ModelBuilder
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.ops import Optimize

pytestmark = pytest.mark.slow

BUILDS = [
    ("mps2-cm0plus", "zig", "speed"),
    ("mps2-cm0plus", "zig", "size"),
    ("mps2-cm0plus", "gnu_arm", "speed"),
    ("virt-rv32", "zig", "speed"),
    ("mps2-an385", "gnu_arm", "size"),
]


def network(activation: str, output_zero_point: int, spread: int) -> bytes:
    """A convolution, a depthwise one of either stride, a pointwise one and a fully connected layer.

    Channels that are no whole block, tiles that are not full, images whose rows are no whole groups. Weights that
    spread over 127 make the row kernel's segments of two products, over 9 as long ones as there are.
    """
    rng = np.random.default_rng(spread)
    builder = ModelBuilder()

    def weights(shape: tuple[int, ...], axis: int) -> int:
        values = rng.integers(-spread, spread + 1, shape).astype(np.int8)
        scales = (0.01 * rng.uniform(0.5, 1, shape[axis])).astype(np.float32)
        return builder.constant(values, scales, [0] * shape[axis], axis=axis)

    def bias(channels: int) -> int:
        return builder.constant(rng.integers(-900, 900, channels).astype(np.int32))

    scale = spread / 127 * 0.6
    quantization = (scale, output_zero_point)
    options = {"stride_h": 1, "stride_w": 1, "fused_activation_function": activation}
    x = builder.input((1, 9, 11, 3), 0.05, -7)
    y = builder.tensor((1, 9, 11, 6), *quantization)
    builder.op("CONV_2D", [x, weights((6, 3, 3, 3), 0), bias(6)], [y], **options)
    z = builder.tensor((1, 9, 11, 6), *quantization)
    builder.op("DEPTHWISE_CONV_2D", [y, weights((1, 3, 3, 6), 3), bias(6)], [z], **options, depth_multiplier=1)
    halved = builder.tensor((1, 5, 6, 6), *quantization)
    stride2 = {**options, "stride_h": 2, "stride_w": 2, "depth_multiplier": 1}
    builder.op("DEPTHWISE_CONV_2D", [z, weights((1, 3, 3, 6), 3), bias(6)], [halved], **stride2)
    pointwise = builder.tensor((1, 5, 6, 9), *quantization)
    builder.op("CONV_2D", [halved, weights((9, 1, 1, 6), 0), bias(9)], [pointwise], **options)
    output = builder.output((1, 10), 2 * scale, 3)
    builder.op("FULLY_CONNECTED", [pointwise, weights((10, 270), 0), bias(10)], [output])
    return builder.build()


@pytest.mark.parametrize(("board", "toolchain", "optimize"), BUILDS)
@pytest.mark.parametrize(
    ("activation", "output_zero_point", "spread"), [("RELU", -128, 127), ("NONE", 4, 9), ("RELU6", -100, 40)]
)
def test_equals_tflm(
    activation: str,
    output_zero_point: int,
    spread: int,
    board: str,
    toolchain: str,
    optimize: Optimize,
    tmp_path: Path,
) -> None:
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["builtin"])
    file = tmp_path / "model.tflite"
    file.write_bytes(network(activation, output_zero_point, spread))
    result = benchmark(file, board=board, toolchain=toolchain, optimize=optimize, runs=1)
    assert result.check.bit_exact, result.check
