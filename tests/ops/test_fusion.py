"""PAD in front of a filter, and an activation behind a layer, become part of it: not a byte changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.single_op import run_generated, varied_inputs
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES, Core
from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.ops import fuse_ops, lower_graph

Sides = tuple[int, int]

ALL_CORES = (None, *(CORES[name] for name in ("cortex-m4", "cortex-m55", "cortex-m0plus")))


@dataclass(frozen=True)
class Padded:
    """PAD, a filter with VALID padding, and perhaps an activation. Sizes and sides are of (height, width)."""

    name: str = "DEPTHWISE_CONV_2D"
    size: Sides = (8, 7)
    depth: int = 5
    channels: int = 6  # of a convolution
    filter: Sides = (3, 3)
    stride: Sides = (2, 2)
    dilation: Sides = (1, 1)
    rows: Sides = (0, 1)
    columns: Sides = (0, 1)
    other_sides: Sides = (0, 0)  # of batch and of channels, before
    batches: int = 1
    zeros: float = 0.0  # share of weights that are pruned
    activation: str | None = None  # an op of its own
    numbers: Numbers = field(default_factory=Numbers)
    pad_quantization: Sides | tuple[float, int] | None = None
    also_output: bool = False  # what lies between the ops

    @property
    def padded(self) -> tuple[int, int, int, int]:
        batch, channel = self.other_sides
        height, width = self.size
        return (self.batches + batch, height + sum(self.rows), width + sum(self.columns), self.depth + channel)

    @property
    def output_size(self) -> list[int]:
        sizes = zip(self.padded[1:3], self.filter, self.dilation, self.stride, strict=True)
        return [-(-(size - (taps - 1) * gap) // step) for size, taps, gap, step in sizes]

    @property
    def fits(self) -> bool:
        return min(self.output_size) >= 1

    def model(self, **changes: object) -> bytes:
        builder, n = ModelBuilder(), self.numbers
        make = builder.output if self.also_output else builder.tensor
        x = builder.input((self.batches, *self.size, self.depth), n.input_scale, n.input_zero_point)
        padded = make(self.padded, *(self.pad_quantization or (n.input_scale, n.input_zero_point)))
        sides = [(self.other_sides[0], 0), self.rows, self.columns, (self.other_sides[1], 0)]
        builder.op("PAD", [x, builder.constant(np.array(sides, np.int32))], [padded])
        depth = self.padded[3]
        is_depthwise = self.name == "DEPTHWISE_CONV_2D"
        channels = depth if is_depthwise else self.channels
        shape = (1, *self.filter, depth) if is_depthwise else (channels, *self.filter, depth)
        weights = self._add_filter(builder, shape, 3 if is_depthwise else 0)
        options = {
            "padding": "VALID",
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "dilation_h_factor": self.dilation[0],
            "dilation_w_factor": self.dilation[1],
            "fused_activation_function": n.activation,
            **({"depth_multiplier": 1} if is_depthwise else {}),
            **changes,
        }
        output = (self.padded[0], *self.output_size, channels), n.output_scale, n.output_zero_point
        y = builder.output(*output) if self.activation is None else make(*output)
        builder.op(self.name, [padded, weights, *n.add_bias(builder, channels)], [y], **options)
        if self.activation:
            builder.op(self.activation, [y], [builder.output(*output)])
        return builder.build()

    def _add_filter(self, builder: ModelBuilder, shape: tuple[int, ...], axis: int) -> int:
        n = self.numbers
        values = n.rng.integers(-127, 128, shape)
        values[n.rng.random(shape) < self.zeros] = 0
        scales = np.float32(n.filter_scale * n.rng.uniform(0.3, 1.0, shape[axis]))
        return builder.constant(values.astype(np.int8), scales, [0] * shape[axis], axis=axis)


def names(graph: Graph) -> list[tuple[int, str]]:
    return [(op.index, op.name) for op in graph.ops]


def fused(model: bytes) -> Graph:
    return fuse_ops(parse_graph(model, "op.tflite"))


def assert_fused_equals_tflm(model: bytes, ops: int, seed: int = 0, cores: Sequence[Core | None] = ALL_CORES) -> None:
    """The graph has so many ops left, and its generated C, with every core's kernels, computes what TFLM does."""
    graph = fused(model)
    assert len(graph.ops) == ops
    inferences = varied_inputs(graph, seed)
    expected = run_tflm(model, inferences)
    seen: set[tuple[str, ...]] = set()
    for core in cores:
        kernels = tuple(layer.kernel for layer in lower_graph(graph, core))
        if kernels in seen:
            continue
        seen.add(kernels)
        for variant, outputs in run_generated(graph, inferences, core).items():
            for ours, theirs in zip(outputs, expected, strict=True):
                np.testing.assert_array_equal(ours[0], theirs[0], f"{kernels}, {variant}")


BASE = Padded()
CONVOLUTION = replace(BASE, name="CONV_2D", depth=3)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        BASE,  # MobileNet
        replace(BASE, stride=(1, 1), rows=(1, 0), columns=(0, 2), activation="RELU6"),
        replace(CONVOLUTION, size=(9, 9), filter=(7, 7), rows=(3, 3), columns=(3, 3), activation="RELU"),  # ResNet
        replace(CONVOLUTION, depth=8, channels=16, zeros=0.9, stride=(1, 1), rows=(1, 0), columns=(0, 2), batches=2),
    ],
)
def test_padding_is_the_filters(case: Padded) -> None:
    assert_fused_equals_tflm(case.model(), ops=1)


sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=8)
@given(
    core=st.sampled_from(ALL_CORES),
    case=st.builds(
        Padded,
        name=st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D"]),
        size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
        depth=st.integers(1, 9) | st.just(17),
        channels=st.integers(1, 9),
        filter=st.just((3, 3)) | pairs,
        stride=st.sampled_from([(1, 1), (2, 2), (2, 2), (1, 3), (3, 2)]),
        dilation=st.just((1, 1)) | st.tuples(st.integers(1, 3), st.integers(1, 3)),
        rows=sides,
        columns=sides,
        batches=st.integers(1, 2),
        zeros=st.sampled_from([0.0, 0.0, 0.9]),
        activation=st.sampled_from([None, "RELU", "RELU6"]),
        numbers=numbers().map(lambda n: replace(n, activation="NONE")),
    ).filter(lambda case: case.fits),
)
def test_anything(case: Padded, core: Core | None) -> None:
    """Whether it is fused or not."""
    model = case.model()
    left = names(fused(model))
    assert (1, case.name) in left
    assert len(left) == 1 or left[0] == (0, "PAD")
    assert_fused_equals_tflm(model, len(left), case.numbers.seed, [core])


@pytest.mark.parametrize(
    "case",
    [
        replace(BASE, rows=(2, 0)),  # more than half the filter
        replace(BASE, columns=(3, 3)),  # a window of nothing but padding
        replace(BASE, stride=(1, 1), rows=(1, 2)),  # more rows come out than go in
        replace(BASE, other_sides=(1, 0)),
        replace(BASE, other_sides=(0, 1)),
        replace(BASE, pad_quantization=(0.0473, -6)),
        replace(BASE, pad_quantization=(0.05, -7)),
        replace(BASE, also_output=True),
    ],
)
def test_paddings_that_stay(case: Padded) -> None:
    model = case.model()
    assert names(fused(model)) == [(0, "PAD"), (1, case.name)]


def test_padding_stays_in_front_of_same_padding() -> None:
    model = replace(BASE, stride=(1, 1), rows=(1, 1), columns=(0, 0), filter=(1, 1)).model(padding="SAME")
    assert names(fused(model)) == [(0, "PAD"), (1, "DEPTHWISE_CONV_2D")]


def test_padding_that_two_filters_read_stays() -> None:
    builder, n = ModelBuilder(), Numbers()
    x = builder.input((1, 4, 4, 2), 0.1)
    padded = builder.tensor((1, 5, 5, 2), 0.1)
    builder.op("PAD", [x, builder.constant(np.array([(0, 0), (0, 1), (0, 1), (0, 0)], np.int32))], [padded])
    for _ in range(2):
        weights = n.add_filter(builder, (3, 3, 3, 2))
        builder.op("CONV_2D", [padded, weights], [builder.output((1, 2, 2, 3), 0.1)], padding="VALID", stride_h=2,
                   stride_w=2)  # fmt: skip
    graph = parse_graph(builder.build(), "op.tflite")
    assert fuse_ops(graph) is graph


def test_a_padding_that_cannot_be_is_refused_as_ever() -> None:
    with pytest.raises(ModelError, match=r"op\.tflite: op 1 \(DEPTHWISE_CONV_2D\): stride_h"):
        fused(BASE.model(stride_h=0))
    with pytest.raises(ModelError, match=r"op\.tflite: op 0 \(PAD\): input 1: paddings"):
        fused(replace(BASE, rows=(-1, 2)).model())


# -- activations --------------------------------------------------------------------------------------------------

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD")


def activated(
    layer: str, activation: str, first: str = "NONE", *, zero_point: int = -20, scale: float = 0.1, other: float = 0.1
) -> bytes:
    """A layer with the activation `first` in it and an op behind it."""
    builder, n = ModelBuilder(), Numbers()
    shape = (2, 8) if layer == "FULLY_CONNECTED" else (1, 4, 4, 8)
    x = builder.input(shape, 0.1, 3)
    y = builder.tensor(shape, scale, zero_point)
    options: dict[str, object] = {"fused_activation_function": first}
    if layer == "ADD":
        inputs = [x, x]
    elif layer == "DEPTHWISE_CONV_2D":
        inputs = [x, n.add_filter(builder, (1, 3, 3, 8), 3)]
        options |= {"depth_multiplier": 1, "stride_h": 1, "stride_w": 1}
    elif layer == "CONV_2D":
        inputs = [x, n.add_filter(builder, (8, 3, 3, 8))]
        options |= {"stride_h": 1, "stride_w": 1}
    elif layer == "TRANSPOSE_CONV":
        inputs = [builder.constant(np.array(shape, np.int32)), n.add_filter(builder, (8, 3, 3, 8)), x]
        options |= {"stride_h": 1, "stride_w": 1}
    else:
        inputs = [x, n.add_filter(builder, (8, 8))]
    builder.op(layer, inputs, [y], **options)
    builder.op(activation, [y], [builder.output(shape, other, zero_point)])
    return builder.build()


@needs_tflm
@pytest.mark.parametrize(
    ("layer", "activation", "zero_point"),
    [
        ("ADD", "RELU6", -20),
        ("CONV_2D", "RELU", -128),
        ("DEPTHWISE_CONV_2D", "RELU6", 120),
        ("FULLY_CONNECTED", "RELU", -20),
        ("TRANSPOSE_CONV", "RELU", -20),
    ],
)
def test_an_activation_is_the_layers_clamp(layer: str, activation: str, zero_point: int) -> None:
    model = activated(layer, activation, zero_point=zero_point)
    assert names(fused(model)) == [(0, layer)]
    assert_fused_equals_tflm(model, 1, cores=(None, CORES["cortex-m4"]))


@pytest.mark.parametrize("layer", LAYERS)
def test_activations_that_stay(layer: str) -> None:
    for model in (
        activated(layer, "RELU", other=0.11),  # it rescales
        activated(layer, "RELU", first="RELU6"),
        activated(layer, "LOGISTIC", scale=0.1, other=1 / 256, zero_point=-128),
    ):
        graph = parse_graph(model, "op.tflite")
        assert fuse_ops(graph) is graph


def test_an_activation_stays_where_the_value_before_it_goes_out() -> None:
    model = replace(CONVOLUTION, activation="RELU", also_output=True).model()
    assert [name for _, name in names(fused(model))] == ["PAD", "CONV_2D", "RELU"]
