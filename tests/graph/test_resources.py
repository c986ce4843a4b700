"""Resource variables, which streaming models keep their past in: TFLM's bytes, step after step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from support.corpus import corpus_model, without_corpus
from support.single_op import run_generated, varied_inputs
from support.tflite_model import ModelBuilder, schema
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import order_layers, plan_memory

QUANTIZATION = (0.05, -7)
PAST, STEP = 4, 3


class StreamingModel(ModelBuilder):
    """The output is the sigmoid of the last seven values, of which each inference brings three."""

    def __init__(
        self, *, first: int = -7, assignments: int = 1, late_reader: bool = False, copied: bool = False
    ) -> None:
        super().__init__()
        x = self.input((1, STEP), *QUANTIZATION)
        handle, past, window = self.handle(), self.tensor((1, PAST), *QUANTIZATION), self.tensor((1, 7), *QUANTIZATION)
        next_, y = self.tensor((1, PAST), *QUANTIZATION), self.output((1, 7), 1 / 256, -128)
        corners = [self.constant(np.array(values, np.int32)) for values in ((0, STEP), (1, PAST + STEP), (1, 1))]
        self.op("CALL_ONCE", [], [], init_subgraph_index=1)
        self.variable_handle(handle)
        self.op("READ_VARIABLE", [handle], [past])
        self.op("CONCATENATION", [past, x], [window], axis=1)
        self.op("STRIDED_SLICE", [window, *corners], [next_], begin_mask=1, end_mask=1)
        if copied:
            self.op("LOGISTIC", [next_], [self.output((1, PAST), 1 / 256, -128)])
        for _ in range(assignments):
            self.op("ASSIGN_VARIABLE", [handle, next_], [])
        self.op("LOGISTIC", [window], [y])
        if late_reader:
            self.op("LOGISTIC", [past], [self.output((1, PAST), 1 / 256, -128)])
        self.initialize(np.full((1, PAST), first, np.int8))

    def handle(self) -> int:
        return self.tensor((), dtype="resource")

    def variable_handle(self, handle: int) -> None:
        self.op("VAR_HANDLE", [], [handle])
        self._graph.operators[-1].builtinOptions.sharedName = "past"

    def initialize(self, value: np.ndarray) -> None:
        """A second subgraph, which CALL_ONCE runs."""
        main, self._graph = self._graph, schema.SubGraphT()
        self._graph.tensors, self._graph.operators, self._graph.inputs, self._graph.outputs = [], [], [], []
        self._model.subgraphs.append(self._graph)
        handle = self.handle()
        self.variable_handle(handle)
        self.op("ASSIGN_VARIABLE", [handle, self.constant(value, *QUANTIZATION)], [])
        self._graph = main


def assert_streams_as_tflm(data: bytes, graph: Graph, inferences: Sequence[Sequence[np.ndarray]]) -> None:
    """Inferences that continue one another, and ones that do not."""
    for anew in (False, True):
        expected = run_tflm(data, inferences, anew=anew)
        for core in (None, CORES["cortex-m4"]):
            for variant, outputs in run_generated(graph, inferences, core, anew=anew).items():
                for step, (mine, theirs) in enumerate(zip(outputs, expected, strict=True)):
                    for ours, reference in zip(mine, theirs, strict=True):
                        assert ours.tobytes() == reference.tobytes(), (variant, anew, step)


@needs_tflm
@pytest.mark.parametrize("copied", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_past_reaches_the_next_inference(copied: bool) -> None:
    """Written by the op that computes it, or where others read that too, by a copy."""
    data = StreamingModel(copied=copied).build()
    graph = parse_graph(data, "streaming.tflite")
    assert ("ASSIGN_VARIABLE" in [op.name for op in graph.ops]) == copied
    assert_streams_as_tflm(data, graph, varied_inputs(graph))


@needs_tflm
@without_corpus
@pytest.mark.slow
def test_wake_word_model_streams_as_tflm() -> None:
    """ESPHome's okay_nabu, as published: six variables, over two dozen steps."""
    data = corpus_model("micro_wake_word/okay_nabu_v2").read_bytes()
    graph = parse_graph(data, "okay_nabu_v2.tflite")
    assert len(graph.variables) == 6
    layers = lower_graph(graph)
    assert plan_memory(graph, order_layers(graph, layers)).arena_bytes <= plan_memory(graph, layers).arena_bytes
    rng = np.random.default_rng(0)
    sound = np.clip(rng.normal(-60, 50, (24, 1, 3, 40)), -128, 127).astype(np.int8)
    assert_streams_as_tflm(data, graph, [[step] for step in sound])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StreamingModel(first=3), r"op 0 \(CALL_ONCE\)"),
        (StreamingModel(assignments=2), r"op 6 \(ASSIGN_VARIABLE\)"),
        (StreamingModel(late_reader=True), r"op 7 \(LOGISTIC\)"),
    ],
)
def test_what_is_not_supported_is_refused(model: StreamingModel, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_graph(model.build(), "streaming.tflite")


def test_a_subgraph_that_nothing_calls_is_refused() -> None:
    builder = StreamingModel()
    builder._model.subgraphs.append(builder._model.subgraphs[1])
    with pytest.raises(ModelError, match="subgraphs: there are 3"):
        parse_graph(builder.build(), "streaming.tflite")
    builder = StreamingModel()
    builder._model.subgraphs.pop()
    with pytest.raises(ModelError, match="there is no subgraph 1"):
        parse_graph(builder.build(), "streaming.tflite")
