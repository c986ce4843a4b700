"""Kernels for cores with the DSP extension: when they are chosen, and the edges of what they compute exactly."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from support.filter_op import Numbers
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from test_conv_2d import Convolution
from test_fully_connected import FullyConnected

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import Layer, Parameters, lower_graph

M4 = CORES["cortex-m4"]


def lowered(model: bytes) -> Layer:
    (layer,) = lower_graph(parse_graph(model, "op.tflite"), M4)
    return layer


def form(layer: Layer) -> str:
    """The instance of the kernel, such as `pair_clamped`."""
    (parameters,) = (argument for argument in layer.arguments if isinstance(argument, Parameters))
    matrix = parameters.fields["matrix"]
    assert isinstance(matrix, dict)
    return str(matrix["multiply"]).removeprefix("tinyml_dsp_")


ROW, ROWS = FullyConnected((1, 24), units=24), FullyConnected((3, 24), units=20)


def model(weights: npt.NDArray[np.int8], *, bias: list[int], scales: list[float], rows: int = 2) -> bytes:
    """A fully connected layer whose inputs have scale 1, and its outputs too."""
    builder = ModelBuilder()
    x = builder.input((rows, weights.shape[1]), 1.0, 0)
    w = builder.constant(weights, scales, [0] * len(scales), axis=0)
    b = builder.constant(np.array(bias, np.int32), 1.0)
    y = builder.output((rows, len(weights)), 1.0, -128)
    builder.op("FULLY_CONNECTED", [x, w, b], [y], fused_activation_function="RELU")
    return builder.build()


@pytest.mark.parametrize(
    ("layer", "numbers", "expected"),
    [
        (ROWS, Numbers(output_zero_point=-128, activation="RELU"), "pair_clamped"),
        (ROWS, Numbers(output_zero_point=-100), "pair_signed"),
        (ROWS, Numbers(output_zero_point=-100, activation="RELU"), "pair_general"),
        (ROWS, Numbers(factor=0.9), "pair_general"),  # no shift to the right
        (ROW, Numbers(output_zero_point=-128, activation="RELU"), "row_clamped"),
        (ROW, Numbers(), "row_signed"),
        (ROW, Numbers(factor=1e-7, bias=False), "row_signed"),  # no output ever changes
        # Channels that are left over.
        (replace(ROWS, units=21), Numbers(), "pair_tail_signed"),
        (replace(ROWS, units=23), Numbers(), "pair_signed"),
        (replace(ROW, units=20), Numbers(), "row_tail_signed"),
        (replace(ROW, units=4), Numbers(), "row_pairs_signed"),
        (replace(ROW, units=21), Numbers(), "row_signed"),
    ],
)
def test_the_cheapest_exact_form_is_chosen(layer: FullyConnected, numbers: Numbers, expected: str) -> None:
    assert form(lowered(replace(layer, numbers=numbers).model())) == expected


@needs_tflm
@pytest.mark.slow
def test_dead_channels_leave_the_others_their_form() -> None:
    """Filters without influence have scales near 0 and enormous biases, which alone decide their outputs."""
    weights = np.random.default_rng(0).integers(-127, 128, (9, 40)).astype(np.int8)
    biases = [100, 2**30, -5000, -(2**30), 70, 2**31 - 2**24, 0, 3, 2**30]
    scales = [0.01, 2e-8, 0.003, 2e-8, 0.02, 4e-8, 1e-10, 0.01, 1e-10]
    dead = model(weights, bias=biases, scales=scales)
    assert form(lowered(dead)) == "pair_tail_clamped"
    assert_equals_tflm(dead)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("low", [-127, -128])
def test_extreme_weights(low: int) -> None:
    """Two weights of -128 do not fit into one half word; then the portable kernel is used."""
    weights = np.random.default_rng(1).choice(np.array([low, -1, 0, 1, 127], np.int8), (8, 64))
    extreme = model(weights, bias=[0] * 8, scales=[0.001 * (1 + i) for i in range(8)])
    assert lowered(extreme).kernel.endswith("dsp") == (low == -127)
    assert_equals_tflm(extreme)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("depth", [512, 520])
def test_sums_beyond_their_half(depth: int) -> None:
    """A second channel's sum has 24 bits."""
    extreme = model(np.full((4, depth), 127, np.int8), bias=[60_000] * 4, scales=[1e-5] * 4)
    assert lowered(extreme).kernel.endswith("dsp") == (depth == 512)
    assert_equals_tflm(extreme)


@needs_tflm
@pytest.mark.slow
def test_the_lead_is_what_the_kernels_need() -> None:
    assert breaks_one_byte_closer(replace(ROW, units=9).model(), core=M4)
    assert breaks_one_byte_closer(FullyConnected((5, 16), units=20).model(), core=M4)
    assert breaks_one_byte_closer(FullyConnected((5, 6), units=9).model(), core=M4)
    assert lowered(FullyConnected((6, 16), units=16).model()).lead == (0,)
    assert lowered(FullyConnected((6, 20), units=16).model()).lead == (0,)


@needs_tflm
@pytest.mark.parametrize(
    "convolution",
    [
        Convolution(size=(6, 7), depth=8, channels=8),  # whole words
        Convolution(size=(9, 10), depth=1, channels=8, filter=(10, 4), stride=(2, 2)),
        Convolution(size=(9, 9), depth=3, channels=8, stride=(2, 2)),  # three bytes left of words
        Convolution(size=(9, 7), depth=5, channels=6, dilation=(2, 2)),  # runs of one tap
        Convolution(size=(9, 7), depth=8, channels=9, dilation=(3, 1)),
        Convolution(size=(5, 5), depth=4, channels=4, batches=3),  # an odd last pixel in each batch
        Convolution(size=(6, 6), depth=8, channels=16, filter=(1, 1), stride=(2, 2)),
        Convolution(size=(2, 1), depth=8, channels=4, filter=(3, 5)),  # every window leaves the input
        # Runs shorter than a word, of which the first begins with the input: a word that ends with it would not.
        Convolution(size=(5, 6), depth=1, channels=5, padding="VALID"),
        Convolution(size=(5, 6), depth=1, channels=5, filter=(4, 2), padding="VALID", batches=2),
        Convolution(size=(6, 5), depth=1, channels=6, batches=2),
        Convolution(size=(5, 6), depth=2, channels=2),  # fewer than four channels
        Convolution(size=(5, 7), depth=6, channels=7),  # words that end with their runs
        Convolution(size=(5, 7), depth=6, channels=9),  # packed
        Convolution(size=(5, 7), depth=5, channels=3, dilation=(1, 2)),
    ],
)
def test_convolutions(convolution: Convolution) -> None:
    assert lowered(convolution.model()).kernel == "tinyml_conv_2d_dsp"
    assert_equals_tflm(convolution.model())


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "units", "activation"),
    [(1, 9, "RELU"), (2, 7, "NONE"), (3, 6, "NONE"), (3, 11, "RELU"), (17, 3, "RELU"), (10, 13, "NONE")],
)
def test_rows_that_are_not_whole_words(depth: int, units: int, activation: str) -> None:
    """Neither inputs nor outputs are a multiple of four; an odd last row has no partner."""
    rows = FullyConnected((9, depth), units=units, numbers=Numbers(activation=activation)).model()
    assert lowered(rows).kernel == "tinyml_fully_connected_rows_dsp"
    assert_equals_tflm(rows)


@needs_tflm
@pytest.mark.parametrize(
    ("depth", "units", "numbers"),
    [
        (64, 2, Numbers(output_zero_point=-128, activation="RELU")),
        (40, 4, Numbers()),
        (8, 19, Numbers(activation="RELU")),  # read again once the first channels are written
        (31, 12, Numbers()),
    ],
)
def test_the_last_channels_of_a_row(depth: int, units: int, numbers: Numbers) -> None:
    row = FullyConnected((1, depth), units=units, numbers=numbers).model()
    assert lowered(row).kernel == "tinyml_fully_connected_row_dsp"
    assert_equals_tflm(row)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "convolution",
    [
        Convolution(size=(5, 6), depth=4, channels=8),
        Convolution(size=(6, 5), depth=8, channels=4, batches=2),
        Convolution(size=(5, 5), depth=1, channels=8, filter=(1, 3)),
        Convolution(size=(5, 5), depth=5, channels=7),
    ],
)
def test_the_lead_of_convolutions(convolution: Convolution) -> None:
    assert breaks_one_byte_closer(convolution.model(), core=M4)
