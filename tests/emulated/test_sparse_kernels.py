"""The assembler of the kernels over lists of weights: what tests/ops see of it is its twin in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.filter_op import Numbers
from support.sparse import DSP, ROW, add_layer, forced, form_of, sparse_weights
from support.tflite_model import ModelBuilder
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import read_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.ops.sparse.lists import FORMS, Form

pytestmark = pytest.mark.slow

CLAMPED = Numbers(factor=0.005, output_zero_point=-128, activation="RELU")
SIGNED = Numbers(factor=0.005)
GENERAL = Numbers(factor=0.005, activation="RELU")


def model(depths: tuple[int, ...]) -> bytes:
    """Convolutions one after the other: every way to an output, odd and even numbers of steps, none, long gaps."""
    builder = ModelBuilder()
    rng, size = np.random.default_rng(0), (3, 7)
    x = builder.input((1, *size, depths[0]), CLAMPED.input_scale, CLAMPED.input_zero_point)
    layers = zip((CLAMPED, SIGNED, GENERAL, CLAMPED, SIGNED), depths, depths[1:], (3, 1, 3, 1, 1), strict=False)
    for n, depth, channels, filter_ in layers:
        weights = sparse_weights(rng, (channels, filter_, filter_, depth), values=16)
        weights[-1] = 0
        weights[0, ..., : depth - 1] = 0  # gaps as long as can be
        x = add_layer(builder, x, (1, *size, channels), weights, n)
    builder.mark_output(x)
    return builder.build()


@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
@pytest.mark.parametrize("form", FORMS)
def test_equals_tflm(form: Form, toolchain: str, tmp_path: Path) -> None:
    """21 pixels: with tiles of 8 the last one has 5, with tiles of 4 one."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["builtin"])
    file = tmp_path / "model.tflite"
    file.write_bytes(model((8, 10, 34, 6, 20, 8)))
    for tile in (8, 4):
        with forced(DSP, ROW, forms=(form, "gaps"), tile=tile):
            layers = lower_graph(read_graph(file), CORES["cortex-m4"])
            assert {form_of(layer) for layer in layers} == {form}
            result = benchmark(file, board="mps2-an386", toolchain=toolchain, runs=1)
        assert result.check.bit_exact, result.check
