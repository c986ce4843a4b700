"""The vector instructions themselves: what tests/ops see of the kernels for MVE are their twins in C."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.many_layers import many_layers
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.codegen import Optimize

pytestmark = pytest.mark.slow


LAYERS = 12  # a firmware can have 29 inputs and outputs


@pytest.mark.parametrize(
    ("toolchain", "optimize", "seed"),
    [("zig", "speed", 1), ("zig", "size", 2), ("gnu_arm", "size", 3), ("gnu_arm", "speed", 4)],
)
def test_many_layers_equal_tflm(toolchain: str, optimize: Optimize, seed: int, tmp_path: Path) -> None:
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["qemu"])
    file = tmp_path / "layers.tflite"
    file.write_bytes(many_layers(LAYERS, seed))
    result = benchmark(file, board="mps3-an547", toolchain=toolchain, optimize=optimize, runs=1)
    assert result.check.bit_exact, result.check
