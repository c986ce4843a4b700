"""Models of chains of windows, with residual sums: what may run row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from tinyml_sdk.boards.cores import Core
from tinyml_sdk.graph import Graph
from tinyml_sdk.ops import Layer, Optimize, lower_rows, row_window
from tinyml_sdk.plan import StreamedLayer
from tinyml_sdk.plan.streams import build_stream, sketch_stream

from .strategies import seeds
from .tflite_model import ModelBuilder

SCALE = 0.0473
ENDINGS = ("", "", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SUM", "REDUCE_MAX")
"""What makes one pixel of the last image, if anything."""
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD", "SHORTCUT")


@dataclass(frozen=True)
class Stage:
    """A layer of a chain. Pairs are (height, width).

    A stage that its input has no room for is left out. ADD adds the latest tensor of the same shape; SHORTCUT a
    pointwise convolution, with the stride of the stage before, of what that stage read.
    """

    kind: str = "CONV_2D"
    filter: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    channels: int = 4
    multiplier: int = 1
    activation: str = "NONE"


@dataclass
class _Made:
    index: int
    shape: tuple[int, ...]
    zero_point: int


class _Chain:
    def __init__(self, shape: tuple[int, int, int], seed: int) -> None:
        self.builder = ModelBuilder()
        self.rng = np.random.default_rng(seed)
        self.made = [_Made(self.builder.input((1, *shape), SCALE, -7), (1, *shape), -7)]
        self.read = self.made[0]
        self.stride = (1, 1)

    def add(self, stage: Stage) -> None:
        now = self.made[-1]
        if stage.kind == "ADD":
            alike = [tensor for tensor in self.made[:-1] if tensor.shape == now.shape]
            if alike:
                self._sum(alike[-1], now)
        elif stage.kind == "SHORTCUT":
            if len(self.made) > 1:
                pointwise = Stage(filter=(1, 1), stride=self.stride, channels=now.shape[3])
                size = tuple(-(-size // step) for size, step in zip(self.read.shape[1:3], self.stride, strict=True))
                if size == now.shape[1:3]:
                    self._window(pointwise, self.read, size)
                    self._sum(now, self.made[-1])
        else:
            size = _output_size(stage, now.shape[1:3])
            if size is not None:
                self.read, self.stride = now, stage.stride
                self._window(stage, now, size)

    def end(self, kind: str) -> None:
        """One pixel of the latest image."""
        now = self.made[-1]
        _, height, width, channels = now.shape
        if kind.endswith("POOL_2D"):
            window = {"filter_height": height, "filter_width": width, "stride_h": 1, "stride_w": 1}
            self._op(kind, [now.index], (1, 1, 1, channels), now.zero_point, padding="VALID", **window)
            return
        axes = self.builder.constant(np.array([1, -2], np.int32))
        keep = bool(self.rng.integers(2))
        shape = (1, 1, 1, channels) if keep else (1, channels)
        self._op(kind, [now.index, axes], shape, now.zero_point if kind == "REDUCE_MAX" else None, keep_dims=keep)

    def build(self) -> bytes:
        self.builder.mark_output(self.made[-1].index)
        return self.builder.build()

    def _sum(self, first: _Made, second: _Made) -> None:
        self._op("ADD", [first.index, second.index], second.shape)

    def _op(
        self, name: str, inputs: list[int], shape: tuple[int, ...], zero_point: int | None = None, **options
    ) -> None:
        zero_point = int(self.rng.choice([-128, -9, 4])) if zero_point is None else zero_point
        index = self.builder.tensor(shape, SCALE, zero_point)
        self.made.append(_Made(index, shape, zero_point))
        self.builder.op(name, inputs, [index], **options)

    def _window(self, stage: Stage, source: _Made, size: tuple[int, ...]) -> None:
        geometry = {"padding": stage.padding, "stride_h": stage.stride[0], "stride_w": stage.stride[1]}
        depth = source.shape[3]
        if stage.kind.endswith("POOL_2D"):
            geometry |= {"filter_height": stage.filter[0], "filter_width": stage.filter[1]}
            self._op(stage.kind, [source.index], (1, *size, depth), source.zero_point, **geometry)
            return
        geometry |= {"dilation_h_factor": stage.dilation[0], "dilation_w_factor": stage.dilation[1]}
        geometry["fused_activation_function"] = stage.activation
        depthwise = stage.kind == "DEPTHWISE_CONV_2D"
        channels = depth * stage.multiplier if depthwise else stage.channels
        shape = (1, *stage.filter, channels) if depthwise else (channels, *stage.filter, depth)
        if depthwise:
            geometry["depth_multiplier"] = stage.multiplier
        products = np.prod(stage.filter) * (1 if depthwise else depth)
        scales = np.float32(0.02 / np.sqrt(products) * self.rng.uniform(0.4, 1.0, channels))
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        weights = self.builder.constant(values, scales, [0] * channels, axis=3 if depthwise else 0)
        bias = self.builder.constant(self.rng.integers(-2_000, 2_000, channels).astype(np.int32))
        self._op(stage.kind, [source.index, weights, bias], (1, *size, channels), **geometry)


def _output_size(stage: Stage, size: Sequence[int]) -> tuple[int, int] | None:
    sizes = []
    dilations = stage.dilation if stage.kind.endswith("CONV_2D") else (1, 1)
    for length, taps, step, gap in zip(size, stage.filter, stage.stride, dilations, strict=True):
        reach = (taps - 1) * gap + 1
        sizes.append(-(-length // step) if stage.padding == "SAME" else -(-(length - reach + 1) // step))
    return (sizes[0], sizes[1]) if min(sizes) > 0 else None


def chain_model(shape: tuple[int, int, int], stages: Sequence[Stage], seed: int = 0, ending: str = "") -> bytes:
    """A model of the stages, two layers or more, over an image of (height, width, channels)."""
    chain = _Chain(shape, seed)
    for stage in stages:
        chain.add(stage)
    while len(chain.made) < 3:
        chain.add(Stage(filter=(1, 1), channels=3))
    if ending:
        chain.end(ending)
    return chain.build()


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    mostly_one = st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (2, 1), (3, 3)])
    return Stage(
        kind=draw(st.sampled_from((*KINDS, "CONV_2D", "DEPTHWISE_CONV_2D"))),
        filter=draw(st.sampled_from([(3, 3), (1, 1), (3, 3)]) | pair | st.just((5, 2))),
        stride=draw(mostly_one),
        dilation=draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 2), (3, 1)])),
        padding=draw(st.sampled_from(["SAME", "SAME", "VALID"])),
        channels=draw(st.sampled_from([1, 3, 4, 8]) | st.integers(1, 9)),
        multiplier=draw(st.sampled_from([1, 1, 1, 2])),
        activation=draw(st.sampled_from(["NONE", "RELU", "RELU6"])),
    )


@dataclass(frozen=True)
class Chain:
    """What `chain_model` makes a model of."""

    shape: tuple[int, int, int]
    stages: tuple[Stage, ...]
    seed: int = 0
    ending: str = ""

    def model(self) -> bytes:
        return chain_model(self.shape, self.stages, self.seed, self.ending)


def chains(most: int = 5) -> st.SearchStrategy[Chain]:
    """Chains over images of a row on."""
    shapes = st.tuples(st.integers(1, 17), st.integers(1, 9), st.sampled_from([1, 3, 4, 8]))
    return st.builds(
        Chain, shapes, st.lists(stages(), min_size=2, max_size=most).map(tuple), seeds(), st.sampled_from(ENDINGS)
    )


def whole_stream(
    graph: Graph, layers: Sequence[Layer], rows_at_once: int, core: Core | None = None, optimize: Optimize = "speed"
) -> StreamedLayer | None:
    """All layers as one stream, None where they cannot be one."""
    windows = [row_window(graph, layer) for layer in layers]
    if len(layers) < 2 or None in windows:
        return None
    sketch = sketch_stream(graph, layers, windows, rows_at_once)
    if sketch is None:
        return None
    return build_stream(sketch, windows, lambda *of_rows: lower_rows(graph, *of_rows, core, optimize))
