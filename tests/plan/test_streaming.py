"""Layers that run row by row: TFLM's bytes whatever the chain, in the memory that they ask for and not a byte less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.chains import Chain, Stage, chains, whole_stream
from support.host_c import Variant, run_variants
from support.single_op import variants_of, varied_inputs
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import plan_memory, stream_layers, streaming


@pytest.fixture(autouse=True)
def images_may_be_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose streams cost relatively much."""
    monkeypatch.setattr(streaming, "MOST_EFFORT", {"speed": 1.0, "size": 1.0})


KERNELS = (None, *(CORES[name] for name in ("cortex-m4", "cortex-m0plus", "cortex-m3", "riscv32imc", "cortex-m55")))


def assert_streams_equal_tflm(chain: Chain, rows_at_once: int, core, optimize="speed") -> None:
    """As one stream, planned, apart from its input, and with the output as far over the input as may be."""
    model = chain.model()
    graph = parse_graph(model, "chain.tflite")
    stream = whole_stream(graph, lower_graph(graph, core, optimize), rows_at_once, core, optimize)
    assume(stream is not None)
    inferences = varied_inputs(graph, chain.seed)
    expected = run_tflm(model, inferences)
    for name, outputs in run_variants(graph, (stream,), variants_of(graph, (stream,)), inferences).items():
        for inference, (mine, theirs) in enumerate(zip(outputs, expected, strict=True)):
            assert mine[0].tobytes() == theirs[0].tobytes(), f"variant {name}, inference {inference}"


@needs_tflm
@pytest.mark.slow
@settings(max_examples=12)
@given(chains(), st.sampled_from([1, 2, 3, 5, 100]), st.sampled_from(KERNELS))
def test_any_chain(chain, rows_at_once, core):
    assert_streams_equal_tflm(chain, rows_at_once, core)


RESIDUAL = Chain(
    (16, 16, 8),
    (
        Stage(channels=8, activation="RELU"),
        Stage(channels=8),
        Stage("ADD"),
        Stage(stride=(2, 2), channels=16),
        Stage(channels=16),
        Stage(kind="CONV_2D", filter=(1, 1), channels=4),
    ),
)
EXPANDING = Chain(
    (16, 16, 4),
    (
        Stage("DEPTHWISE_CONV_2D"),
        Stage(filter=(1, 1), channels=16),
        Stage("DEPTHWISE_CONV_2D", stride=(2, 2)),
        Stage(filter=(1, 1), channels=8),
    ),
)


# The image with the most channels is never there as a whole.
POOLED = Chain((12, 12, 8), (Stage("DEPTHWISE_CONV_2D"), Stage(filter=(1, 1), channels=65)), ending="MEAN")


@pytest.mark.parametrize("core", KERNELS, ids=lambda core: core.name if core else "portable")
@pytest.mark.parametrize("chain", [RESIDUAL, EXPANDING, POOLED], ids=["residual", "expanding", "pooled"])
def test_the_arena_shrinks_and_the_plan_holds(chain, core):
    graph = parse_graph(chain.model(), "chain.tflite")
    layers = lower_graph(graph, core)
    found = stream_layers(graph, layers, core)
    assert found.arena_before == plan_memory(graph, layers).arena_bytes
    plan = plan_memory(graph, found.layers)
    assert plan.arena_bytes < 0.9 * found.arena_before
    parts = [part.op for layer in found.layers for part in layer.parts]
    assert parts == list(graph.ops)
    again = stream_layers(graph, layers, core)
    assert [layer.op for layer in again.layers] == [layer.op for layer in found.layers]


@needs_tflm
@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(EXPANDING, id="expanding"),
        pytest.param(RESIDUAL, id="residual", marks=pytest.mark.slow),
        pytest.param(POOLED, id="pooled"),
    ],
)
def test_chosen_streams_equal_tflm(chain):
    model, core = chain.model(), CORES["cortex-m4"]
    graph = parse_graph(model, "chain.tflite")
    layers = stream_layers(graph, lower_graph(graph, core), core).layers
    variants = [Variant("speed", plan_memory(graph, layers)), Variant("size", plan_memory(graph, layers), "size")]
    inferences = varied_inputs(graph)
    expected = run_tflm(model, inferences)
    for outputs in run_variants(graph, layers, variants, inferences).values():
        for mine, theirs in zip(outputs, expected, strict=True):
            assert mine[0].tobytes() == theirs[0].tobytes()


def test_a_tensor_that_somebody_else_reads_is_written_whole():
    graph = parse_graph(EXPANDING.model(), "chain.tflite")
    layers = lower_graph(graph)
    expanded = graph.ops[1].outputs[0]
    graph = replace(graph, outputs=(*graph.outputs, expanded))
    for layer in stream_layers(graph, layers).layers:
        assert expanded not in {index for part in layer.parts[:-1] for index in part.op.outputs}


def test_a_stream_that_costs_too_much_gets_more_room_or_is_left_out(monkeypatch):
    core = CORES["cortex-m4"]
    graph = parse_graph(EXPANDING.model(), "chain.tflite")
    layers = lower_graph(graph, core)
    arenas = []
    for effort in (1.0, 0.1, -1.0):
        monkeypatch.setattr(streaming, "MOST_EFFORT", {"speed": effort, "size": 1.0})
        arenas.append(plan_memory(graph, stream_layers(graph, layers, core).layers).arena_bytes)
    assert arenas[0] < arenas[1] < arenas[2] == plan_memory(graph, layers).arena_bytes
    # In a firmware that shall be small, memory counts more.
    layers = lower_graph(graph, core, "size")
    assert stream_layers(graph, layers, core, "size").arena_before is not None
