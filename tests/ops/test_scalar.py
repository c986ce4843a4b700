"""Kernels for cores without SIMD instructions: when they are chosen, and the edges of what they compute exactly."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.host_c import FLAGS
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm
from support.strategies import seeds
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from test_conv_2d import Convolution
from test_depthwise_conv_2d import depthwise_model
from test_fully_connected import FullyConnected

from tinyml_sdk.boards.cores import CORES, Core
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import Layer, lower_graph
from tinyml_sdk.ops.scalar.row import segment_lengths
from tinyml_sdk.resources import templates_dir

M0, M3, M4, RV32 = (CORES[name] for name in ("cortex-m0plus", "cortex-m3", "cortex-m4", "riscv32imc"))
each_core = pytest.mark.parametrize("core", [M0, M3, RV32], ids=lambda core: core.name)
each_kernel = pytest.mark.parametrize("core", [M0, RV32], ids=lambda core: core.name)
"""Cores that differ in more than the size of a tile."""


def lowered(model: bytes, core: Core) -> Layer:
    (layer,) = lower_graph(parse_graph(model, "op.tflite"), core)
    return layer


def kernel(model: bytes, core: Core) -> str:
    return lowered(model, core).kernel.removeprefix("tinyml_")


CONVOLUTION = Convolution(size=(6, 7), depth=8, channels=8)
DEPTHWISE = depthwise_model((1, 6, 9, 4))
ROW, ROWS = FullyConnected((1, 24), units=20), FullyConnected((5, 24), units=20)


def extreme(weights: npt.NDArray[np.int8], rows: int) -> bytes:
    """A matrix whose inputs have scale 1, and its outputs too."""
    builder = ModelBuilder()
    x = builder.input((rows, weights.shape[1]), 1.0, 0)
    scales = [0.0002 * (1 + channel) for channel in range(len(weights))]
    w = builder.constant(weights, scales, [0] * len(weights), axis=0)
    y = builder.output((rows, len(weights)), 1.0, -10)
    builder.op("FULLY_CONNECTED", [x, w, -1], [y])
    return builder.build()


@pytest.mark.parametrize(
    ("core", "row", "suffix"),
    [
        (M0, "row_armv6m", "scalar"),
        (M3, "row_scalar", "scalar"),
        (RV32, "row_scalar", "scalar"),
        (M4, "row_dsp", "dsp"),
    ],
)
def test_each_core_gets_its_kernels(core: Core, row: str, suffix: str) -> None:
    assert kernel(CONVOLUTION.model(), core) == f"conv_2d_{suffix}"
    assert kernel(FullyConnected((6, 24), units=20).model(), core) == f"fully_connected_rows_{suffix}"
    assert suffix in kernel(DEPTHWISE, core)
    small = np.random.default_rng(0).integers(-9, 10, (20, 64)).astype(np.int8)
    assert kernel(extreme(small, rows=1), core) == f"fully_connected_{row}"


def test_large_weights_leave_a_row_to_the_portable_kernel() -> None:
    """Segments of two products cost more than they save where a product is one instruction."""
    large = np.full((8, 64), 127, np.int8)
    assert kernel(extreme(large, rows=1), M3) == "fully_connected"
    assert kernel(extreme(large, rows=1), RV32) == "fully_connected_row_scalar"


FORMS = (
    Numbers(output_zero_point=-128, activation="RELU"),  # clamped
    Numbers(),  # signed
    Numbers(activation="RELU6"),  # general
    Numbers(factor=0.9, per_channel=False),
)


@needs_tflm
@each_core
@pytest.mark.parametrize(
    "convolution",
    [
        *(replace(CONVOLUTION, numbers=form) for form in FORMS[1:]),
        Convolution(size=(9, 10), depth=1, channels=7, filter=(10, 4), stride=(2, 2)),
        Convolution(size=(9, 9), depth=3, channels=8, stride=(2, 2), numbers=FORMS[0]),  # runs that are no words
        Convolution(size=(9, 7), depth=5, channels=6, dilation=(2, 2)),  # runs of one tap
        Convolution(size=(5, 5), depth=4, channels=5, batches=3),  # a last tile of one pixel in each batch
        Convolution(size=(2, 1), depth=8, channels=4, filter=(3, 5)),  # every window leaves the input
        Convolution(size=(3, 3), depth=9, channels=6, filter=(1, 1)),
    ],
)
def test_convolutions(convolution: Convolution, core: Core) -> None:
    assert_equals_tflm(convolution.model(), cores=(core,))


@needs_tflm
@pytest.mark.slow
@each_kernel
@pytest.mark.parametrize(
    "layer",
    [
        *(replace(ROW, numbers=form) for form in FORMS[:2]),
        *(replace(ROWS, numbers=form) for form in FORMS[2:]),
        FullyConnected((1, 27), units=9),
        FullyConnected((6, 5), units=11),
    ],
)
def test_matrices(layer: FullyConnected, core: Core) -> None:
    assert_equals_tflm(layer.model(), cores=(core,))


@needs_tflm
@each_kernel
@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 6, 9, 4)},  # two groups of four outputs and one
        {"shape": (2, 5, 4, 7), "stride": (2, 2)},
        {"shape": (1, 7, 12, 8), "stride": (2, 2), "output_quantization": (0.1, -128), "activation": "RELU"},
        {"shape": (1, 5, 6, 1), "activation": "RELU6"},
        {"shape": (1, 9, 11, 3), "padding": "VALID", "filter_scale": [3.0, 0.01, 1e-4]},
        {"shape": (1, 1, 1, 2)},
    ],
)
def test_depthwise(case: dict[str, Any], core: Core) -> None:
    model = depthwise_model(**case)
    assert_equals_tflm(model, cores=(core,))


@each_kernel
@pytest.mark.parametrize(
    "case",
    [
        {"multiplier": 2},
        {"filter_size": (3, 5)},
        {"stride": (1, 2)},
        {"stride": (3, 3)},
        {"dilation": (2, 2)},
    ],
)
def test_what_is_left_to_the_portable_depthwise_kernel(case: dict[str, Any], core: Core) -> None:
    assert kernel(depthwise_model((1, 7, 8, 4), **case), core) == "depthwise_conv_2d"


@needs_tflm
@each_kernel
@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("values", [(-128, 127), (-128,), (-1, 0, 1)])
def test_extreme_weights(values: tuple[int, ...], rows: int, core: Core) -> None:
    """Segments of one or two products, and as long as they can be."""
    weights = np.random.default_rng(1).choice(np.array(values, np.int8), (9, 300))
    assert_equals_tflm(extreme(weights, rows), cores=(core,))


@needs_tflm
@pytest.mark.slow
def test_two_products_fit_half_a_register_but_for_weights_of_minus_128() -> None:
    weights = np.tile(np.array([-128, -127], np.int8), (8, 32))
    assert kernel(extreme(weights, rows=6), M0) == "fully_connected_rows_scalar"
    assert_equals_tflm(extreme(weights, rows=6), cores=(M0,))
    weights[3, 5] = -128
    assert kernel(extreme(weights, rows=6), M0) == "fully_connected"


def test_segments_fit_whatever_the_inputs_are() -> None:
    rng = np.random.default_rng(0)
    for spread in (0, 5, 40, 127):
        block = np.clip(np.rint(rng.normal(0, spread, (4, 600))), -128, 127).astype(np.int64)
        lengths = segment_lengths(block)
        assert sum(lengths) == 600
        assert max(lengths) <= 255
        ends = np.cumsum(lengths)
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            part = block[:, first:end]
            most = np.maximum(127 * part, -128 * part).sum(axis=1)
            least = np.minimum(127 * part, -128 * part).sum(axis=1)
            assert most.max() < 2**15
            assert least.min() >= -(2**15)


@needs_tflm
@pytest.mark.slow
@each_core
def test_the_lead_is_what_the_kernels_need(core: Core) -> None:
    assert breaks_one_byte_closer(replace(ROW, units=9).model(), core=core)
    assert breaks_one_byte_closer(FullyConnected((9, 16), units=20).model(), core=core)
    assert breaks_one_byte_closer(Convolution(size=(6, 5), depth=8, channels=9, batches=2).model(), core=core)
    assert lowered(FullyConnected((6, 16), units=16).model(), core).lead == (0,)


@pytest.mark.slow
@pytest.mark.parametrize(("stride", "channels"), [(1, 7), (2, 4)])
def test_depthwise_works_in_place_and_anywhere_above(channels: int, stride: int) -> None:
    model = depthwise_model((2, 6, 7, channels), stride=(stride, stride))
    assert lowered(model, M3).lead_of(0) == 0
    assert works_at_distances(model, [0, 1, channels, 4 * channels - 1], M3)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10)
@given(
    core=st.sampled_from([M0, M3, RV32]),
    layer=st.builds(
        Convolution,
        size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
        depth=st.integers(1, 9),
        channels=st.integers(1, 9),
        filter=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        batches=st.integers(1, 2),
        numbers=numbers(),
    )
    | st.builds(
        FullyConnected,
        shape=st.tuples(st.integers(1, 6), st.integers(1, 40)),
        units=st.integers(1, 20),
        numbers=numbers(),
    ),
    seed=seeds(),
)
def test_anything(core: Core, layer: Convolution | FullyConnected, seed: int) -> None:
    layer = replace(layer, numbers=replace(layer.numbers, activation="NONE"))
    assert_equals_tflm(layer.model(), cores=(core,), seed=seed)


SPLIT_PRODUCT = """
#include <stdio.h>
#include "scalar/tinyml_scalar.h"
int main(void) {
  static const int32_t edges[] = {0, 1, -1, 0x7FFF, 0x8000, -0x8000, 0xFFFF, 0x10000, -0x10000, INT32_MAX, INT32_MIN};
  uint32_t state = 1;
  for (int i = 0; i < 2000000; ++i) {
    state = state * 1664525u + 1013904223u;
    const int32_t value = i % 11 ? (int32_t)state >> (i % 23) : edges[i / 11 % 11];
    state = state * 1664525u + 1013904223u;
    const int32_t factor = (int32_t)(state >> 1) >> (i % 3);
    if (tinyml_scalar_split_product(value, factor) != (int32_t)(((int64_t)value * factor) >> 32)) {
      printf("%d x %d\\n", (int)value, (int)factor);
      return 1;
    }
  }
  return 0;
}
"""


def test_the_product_in_halves_is_exact(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(SPLIT_PRODUCT)
    include = f"-I{templates_dir() / 'kernels'}"
    subprocess.run(["gcc", *FLAGS, include, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
