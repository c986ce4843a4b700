"""Models with channels that never change: these go, and no output byte does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.single_op import run_generated, varied_inputs
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.ops import remove_constant_channels

SCALE = 0.05
RELU_ZERO = -128


class Network(ModelBuilder):
    """Layers in a row, each with the filters named dead: of no influence, and with a bias that decides alone."""

    def __init__(self, size: int, depth: int, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)
        self.last, self.shape = self.input((1, size, size, depth), SCALE, 3), (1, size, size, depth)

    def layer(self, name: str, channels: int, dead: dict[int, float], *, filter_: int = 1, last: bool = False) -> None:
        """`dead`: the real constants by channel. Below 0 they end as 0: there is a ReLU."""
        depthwise = name == "DEPTHWISE_CONV_2D"
        window = () if name == "FULLY_CONNECTED" else (filter_, filter_)
        shape = (1, *window, channels) if depthwise else (channels, *window, self.shape[-1])
        axis = 3 if depthwise else 0
        weights = self._rng.integers(-127, 128, shape)
        scales = np.full(channels, 0.01)
        products = weights.size // channels
        bias = self._rng.normal(20, 60, channels) * products**0.5 * 20
        for channel, constant in dead.items():
            scales[channel] = 1e-9
            bias[channel] = constant / (1e-9 * SCALE)
        bias = np.clip(np.rint(bias), -(2**30), 2**30).astype(np.int32)
        w = self.constant(weights.astype(np.int8), scales.tolist(), [0] * channels, axis=axis)
        options = {} if name == "FULLY_CONNECTED" else {"stride_h": 1, "stride_w": 1}
        if depthwise:
            options["depth_multiplier"] = 1
        self._append(
            name,
            [w, self.constant(bias, 1.0)],
            (*self.shape[:-1], channels),
            last=last,
            fused_activation_function="RELU",
            **options,
        )

    def pool(self) -> None:
        size, channels = self.shape[1], self.shape[3]
        self._append("AVERAGE_POOL_2D", [], (1, 1, 1, channels), filter_height=size, filter_width=size,
                     stride_h=1, stride_w=1, padding="VALID")  # fmt: skip
        self._append("RESHAPE", [], (1, channels))

    def rearrange(self) -> None:
        """Larger, on its side, and with a dimension more and less: channels stay what they are."""
        _, height, width, channels = self.shape
        larger = self.constant(np.array([2 * height, 3 * width], np.int32))
        self._append("RESIZE_NEAREST_NEIGHBOR", [larger], (1, 2 * height, 3 * width, channels))
        order = self.constant(np.array([0, 2, 1, 3], np.int32))
        self._append("TRANSPOSE", [order], (1, 3 * width, 2 * height, channels))
        self._append("EXPAND_DIMS", [self.constant(np.array(0, np.int32))], (1, *self.shape))
        self._append("SQUEEZE", [], self.shape[1:], squeeze_dims=[0])

    def _append(
        self, name: str, constants: list[int], shape: tuple[int, ...], *, last: bool = False, **options: object
    ) -> None:
        make = self.output if last else self.tensor
        output = make(shape, SCALE, RELU_ZERO)
        self.op(name, [self.last, *constants], [output], **options)
        self.last, self.shape = output, shape


def network(dead: list[dict[int, float]], channels: list[int], seed: int = 0) -> bytes:
    """Convolution 3x3, depthwise 3x3, pointwise, average, fully connected."""
    builder = Network(5, 3, seed)
    builder.layer("CONV_2D", channels[0], dead[0], filter_=3)
    builder.layer("DEPTHWISE_CONV_2D", channels[0], dead[1], filter_=3)
    builder.layer("CONV_2D", channels[1], dead[2])
    builder.pool()
    builder.layer("FULLY_CONNECTED", 5, dead[3], last=True)
    return builder.build()


def assert_unchanged(model: bytes) -> Graph:
    graph = parse_graph(model, "op.tflite")
    smaller = remove_constant_channels(graph)
    inferences = varied_inputs(graph)
    expected = run_tflm(model, inferences)
    for core in (None, CORES["cortex-m4"]):
        for outputs in run_generated(smaller, inferences, core).values():
            for ours, theirs in zip(outputs, expected, strict=True):
                np.testing.assert_array_equal(ours[0], theirs[0])
    return smaller


def depths(graph: Graph) -> list[int]:
    """Channels after each op."""
    return [graph.tensors[op.outputs[0]].shape[-1] for op in graph.ops]


NONE: list[dict[int, float]] = [{}, {}, {}, {}]


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dead", "expected"),
    [
        # Always 0, which is what padding is: the depthwise filter of a constant has a constant too.
        ([dict.fromkeys([0, 2, 3, 11], -1.0), {}, {}, {}], [8, 8, 12, 12, 12, 5]),
        # Another constant: next to the padding, the depthwise convolution tells it from the middle.
        ([dict.fromkeys([0, 2, 3, 11], 1.0), {}, {}, {}], [12, 12, 12, 12, 12, 5]),
        # Nobody looks at these filters' inputs.
        ([{}, dict.fromkeys([0, 2, 3, 11], 1.0), {}, {}], [8, 8, 12, 12, 12, 5]),
        # Through pooling and reshape, and two that fill up a block of four.
        ([{}, {}, dict.fromkeys(range(1, 11), 1.0), {}], [12, 12, 4, 4, 4, 5]),
        # All of them: one block is left.
        ([{}, {}, dict.fromkeys(range(12), 1.0), {}], [12, 12, 4, 4, 4, 5]),
        # The model's output stays whole.
        ([{}, {}, {}, dict.fromkeys(range(4), 1.0)], [12, 12, 12, 12, 12, 5]),
    ],
)
def test_constant_channels_go(dead: list[dict[int, float]], expected: list[int]) -> None:
    assert depths(assert_unchanged(network(dead, [12, 12]))) == expected


@needs_tflm
@pytest.mark.slow
def test_channels_pass_through_what_only_rearranges() -> None:
    builder = Network(5, 3, seed=0)
    builder.layer("CONV_2D", 12, dict.fromkeys(range(8), 1.0), filter_=3)
    builder.rearrange()
    builder.layer("CONV_2D", 5, {}, last=True)
    assert depths(assert_unchanged(builder.build())) == [4, 4, 4, 4, 4, 5]


def test_tensors_say_which_channels_they_have_kept() -> None:
    graph = parse_graph(network([dict.fromkeys([0, 2, 3, 11], -1.0), {}, {}, {}], [12, 12]), "op.tflite")
    smaller = remove_constant_channels(graph)
    first = graph.ops[0].outputs[0]
    assert smaller.tensors[first].channels == (1, 4, 5, 6, 7, 8, 9, 10)
    assert smaller.tensors[graph.inputs[0]].channels is None


def test_a_graph_without_constant_channels_is_left_alone() -> None:
    graph = parse_graph(network(NONE, [6, 9]), "op.tflite")
    assert remove_constant_channels(graph) is graph


def test_what_other_operators_read_stays() -> None:
    builder = Network(5, 3, seed=0)
    builder.layer("CONV_2D", 12, dict.fromkeys(range(8), -1.0))
    output = builder.output(builder.shape, SCALE, RELU_ZERO)
    builder.op("ADD", [builder.last, builder.last], [output])
    graph = parse_graph(builder.build(), "op.tflite")
    assert remove_constant_channels(graph) is graph


@st.composite
def networks(draw: st.DrawFn) -> bytes:
    channels = [draw(st.integers(1, 14)), draw(st.integers(1, 14))]
    constants = st.sampled_from([-1.0, -1.0, 0.3, 2.0])
    counts = [channels[0], channels[0], channels[1], 5]
    dead = [draw(st.dictionaries(st.integers(0, count - 1), constants)) for count in counts]
    return network(dead, channels, draw(st.integers(0, 100)))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10)
@given(model=networks())
def test_anything(model: bytes) -> None:
    assert_unchanged(model)
