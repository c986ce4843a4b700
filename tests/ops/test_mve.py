"""The kernels for MVE: which form a layer gets, that it is exact, and how near to its input it may write.

Here run their twins in portable C; tests/emulated/test_mve_kernels.py has the instructions themselves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.binary_op import binary_model
from support.filter_op import Numbers
from support.many_layers import many_layers
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.tflm import needs_tflm
from test_conv_2d import Convolution
from test_depthwise_conv_2d import depthwise_model
from test_fully_connected import FullyConnected

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.ops import Layer, Parameters

M55 = CORES["cortex-m55"]

ROW, ROWS = FullyConnected((1, 24), units=20), FullyConnected((3, 24), units=20)
CLAMPED = Numbers(output_zero_point=-128, activation="RELU")


def lowered(model: bytes) -> Layer:
    (layer,) = lower(model, M55)
    return layer


def form(layer: Layer) -> str:
    """The instance of the kernel, such as `pair_clamped`."""
    (parameters,) = (argument for argument in layer.arguments if isinstance(argument, Parameters))
    matrix = parameters.fields["matrix"]
    assert isinstance(matrix, dict)
    return str(matrix["multiply"]).removeprefix("tinyml_mve_")


@pytest.mark.parametrize(
    ("layer", "numbers", "expected"),
    [
        (ROWS, CLAMPED, "pair_clamped"),
        (ROWS, Numbers(output_zero_point=-100), "pair_signed"),
        (ROWS, Numbers(output_zero_point=-100, activation="RELU"), "pair_general"),
        (ROWS, Numbers(factor=0.9), "pair_general"),  # a tie cannot come from a shift by no bit
        (ROWS, replace(CLAMPED, factor=0.9), "pair_clamped"),
        (ROWS, replace(CLAMPED, factor=1.9), "pair_general"),  # a shift to the left
        (ROW, CLAMPED, "row_clamped"),
    ],
)
def test_the_cheapest_exact_form_is_chosen(layer: FullyConnected, numbers: Numbers, expected: str) -> None:
    assert form(lowered(replace(layer, numbers=numbers).model())) == expected


@pytest.mark.parametrize(
    ("model", "kernel"),
    [
        (depthwise_model(), "tinyml_mve_depthwise_stride1_signed"),
        (depthwise_model((1, 20, 20, 16), activation="RELU"), "tinyml_mve_depthwise_stride1_general"),
        (depthwise_model(output_quantization=(0.1, -128)), "tinyml_mve_depthwise_stride1_clamped"),
        (
            depthwise_model((1, 5, 6, 9), output_quantization=(1e-4, 5)),
            "tinyml_depthwise_conv_2d_mve",
        ),  # a scale above 1
        (depthwise_model((1, 5, 6, 9), filter_size=(3, 4)), "tinyml_depthwise_conv_2d_mve"),
        (depthwise_model((1, 5, 6, 2), multiplier=3), "tinyml_depthwise_conv_2d"),
        (depthwise_model((1, 4, 5, 1)), "tinyml_mve_depthwise_stride1_signed"),
        (depthwise_model((1, 4, 5, 1), multiplier=8), "tinyml_conv_2d_mve"),
        (binary_model("ADD", (2, 8), (2, 8)), "tinyml_add_mve"),
        (binary_model("ADD", (2, 1), (2, 8)), "tinyml_add"),
    ],
)
def test_where_the_kernels_are_taken(model: bytes, kernel: str) -> None:
    assert lowered(model).kernel == kernel


@needs_tflm
@pytest.mark.slow
def test_scales_so_small_that_a_shift_has_no_room_for_the_zero_point() -> None:
    """Where the sums are small too, a shorter shift does the same; else the general form."""
    tiny, bias = {"filter_scale": [1e-8, 0.01, 0.01], "bias_offset": 0}, {"bias_offset": 2**30}
    assert lowered(depthwise_model(**tiny)).kernel.endswith("signed")
    assert lowered(depthwise_model(**(tiny | bias))).kernel.endswith("general")
    assert_equals_tflm(depthwise_model(**tiny), cores=[M55])


@needs_tflm
@pytest.mark.parametrize("name", ["ADD", "SUB"])
def test_all_pairs(name: str) -> None:
    """One element more than a multiple of four."""
    residual = ((0.03939355, -128), (0.10419496, 4), (0.05094567, -128))
    model = binary_model(name, (65537,), (65537,), residual)
    assert lowered(model).kernel == "tinyml_add_mve"
    everything = np.arange(-128, 128).astype(np.int8)
    first, second = np.resize(np.repeat(everything, 256), 65537), np.resize(np.tile(everything, 256), 65537)
    assert_equals_tflm(model, [[first, second]], cores=[M55])


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        Convolution(size=(5, 6), depth=4, channels=8).model(),
        Convolution(size=(6, 5), depth=8, channels=4, batches=2).model(),
        FullyConnected((1, 32), units=40).model(),  # read again for the last eight
        FullyConnected((5, 16), units=20).model(),
        FullyConnected((3, 16), units=70).model(),  # copied, as they are read twice
        depthwise_model((2, 5, 6, 8), filter_size=(2, 3)),
    ],
)
def test_the_lead_is_what_the_kernels_need(model: bytes) -> None:
    assert breaks_one_byte_closer(model, core=M55)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_at_any_distance(stride: int) -> None:
    """Whole pixels above the output, and not."""
    model = depthwise_model((2, 5, 6, 5), stride=(stride, stride))
    assert works_at_distances(model, [0, 1, 4, 5, 7, 10, 38, 60], core=M55)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_many_layers_at_once(seed: int) -> None:
    assert_equals_tflm(many_layers(12, seed), seed=seed, cores=[M55])
