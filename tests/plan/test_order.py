"""The order of layers: the lowest peak of all possible orders, never a larger arena, and still TFLM's bytes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host_c import Variant, run_variants
from support.single_op import varied_inputs
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import order, order_layers, plan_memory
from tinyml_sdk.plan.order import LiveBytes


def branching_model(sizes: list[int], sources: list[tuple[int, int]]) -> bytes:
    """Layer i makes `sizes[i]` values of one tensor made before, or where two of equal size are named, their sum.

    All that no layer reads is an output.
    """
    rng = np.random.default_rng(len(sizes))
    builder = ModelBuilder()
    tensors, widths, ops, read = [builder.input((1, 16), 0.05, 3)], [16], [], set()
    for wanted, source in zip(sizes, sources, strict=True):
        first, second = (place % len(tensors) for place in source)
        size, depth = wanted, widths[first]
        if depth == widths[second] and first != second:
            size, name, inputs = depth, "ADD", [tensors[first], tensors[second]]
        else:
            weights = builder.constant(rng.integers(-127, 128, (size, depth)).astype(np.int8), 0.01)
            name, inputs = "FULLY_CONNECTED", [tensors[first], weights, -1]
        read |= {index for index in inputs if index in tensors}
        tensors.append(builder.tensor((1, size), 0.05, -2))
        widths.append(size)
        ops.append((name, inputs, [tensors[-1]]))
    builder._graph.outputs = [index for index in tensors if index not in read]
    for op in ops:
        builder.op(*op)
    return builder.build()


@st.composite
def models(draw: st.DrawFn, most: int = 6) -> Graph:
    count = draw(st.integers(2, most))
    sizes = draw(st.lists(st.sampled_from([1, 8, 8, 40, 200]), min_size=count, max_size=count))
    source = st.tuples(st.integers(0, count), st.integers(0, count))
    sources = draw(st.lists(source, min_size=count, max_size=count))
    return parse_graph(branching_model(sizes, sources), "branching.tflite")


def topological_orders(graph: Graph):
    """Every order in which a layer follows those that write its inputs."""
    made = {index: op.index for op in graph.ops for index in op.outputs}
    for candidate in itertools.permutations(range(len(graph.ops))):
        at = {position: step for step, position in enumerate(candidate)}
        if all(at[made[i]] < at[op.index] for op in graph.ops for i in op.inputs if i in made):
            yield candidate


@pytest.mark.slow
@given(models())
@settings(max_examples=40, deadline=None)
def test_no_other_order_has_a_lower_peak(graph):
    layers = lower_graph(graph)
    problem = order._Problem.of(graph, layers)
    best = min(max(LiveBytes(graph, [layers[i] for i in candidate]).peaks) for candidate in topological_orders(graph))
    found = order.lowest_peak_order(problem)
    assert tuple(found) in set(topological_orders(graph))
    assert problem.peak(found) == best
    ordered = order_layers(graph, layers)
    assert plan_memory(graph, ordered).arena_bytes <= plan_memory(graph, layers).arena_bytes
    assert [layer.op for layer in ordered] == [layer.op for layer in order_layers(graph, lower_graph(graph))]


def test_a_beam_is_sound_and_no_worse_than_the_file(monkeypatch):
    """Twelve branches, each of a wide layer and a narrow one, the wide ones first in the file: 3^12 sets."""
    graph = parse_graph(branching_model([200] * 12 + [8] * 12, [(0, 0)] * 12 + [(i, i) for i in range(1, 13)]), "b")
    monkeypatch.setattr(order, "EXACT_IDEALS", 100)
    layers = lower_graph(graph)
    ordered = order_layers(graph, layers)
    assert sorted(layer.op.index for layer in ordered) == list(range(24))
    assert max(LiveBytes(graph, ordered).peaks) < 400
    assert plan_memory(graph, ordered).arena_bytes < plan_memory(graph, layers).arena_bytes / 4


@needs_tflm
@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(graph_model=st.integers(0, 2**32 - 1))
def test_reordered_layers_give_the_same_bytes(graph_model):
    """Whatever order of branches the planner would take, from the last layer that can run to the first."""
    rng = np.random.default_rng(graph_model)
    sizes = rng.choice([8, 8, 40], 7).tolist()
    data = branching_model(sizes, [tuple(pair) for pair in rng.integers(0, 8, (7, 2)).tolist()])
    graph = parse_graph(data, "branching.tflite")
    layers = lower_graph(graph)
    orders = list(topological_orders(graph))
    shuffled = tuple(layers[i] for i in orders[rng.integers(len(orders))])
    for candidate in (shuffled, order_layers(graph, layers)):
        inferences = varied_inputs(graph)
        variant = Variant("reordered", plan_memory(graph, candidate), "size")
        (outputs,) = run_variants(graph, candidate, [variant], inferences).values()
        for mine, theirs in zip(outputs, run_tflm(data, inferences), strict=True):
            for ours, reference in zip(mine, theirs, strict=True):
                assert ours.tobytes() == reference.tobytes()
