"""Whether the distance an operator asks for between its input and its output is really needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinyml_sdk.boards.cores import Core
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph

from .host_c import Variant, run_variants
from .single_op import plan_with, tightest, varied_inputs


def breaks_one_byte_closer(model: bytes, place: int = 0, core: Core | None = None) -> bool:
    """Whether some output of a model of one op changes with input `place` a byte nearer to the output than `lead`.

    An operator that asks for too much memory would still pass the comparison with TFLM; this is the other side.
    """
    graph = parse_graph(model, "op.tflite")
    layers = lower_graph(graph, core)
    tight = tightest(graph, layers, place)
    assert tight is not None
    # All tensors go up a word, so that there is room below for an input of lead 0; then the one goes down.
    offsets = {index: offset + 4 for index, offset in tight.plan.tensor_offsets.items()}
    offsets[layers[0].op.inputs[place]] -= 1
    closer = Variant("closer", replace(tight.plan, tensor_offsets=offsets, arena_bytes=tight.plan.arena_bytes + 4))
    apart = Variant("apart", plan_with(graph, layers, {}))
    results = run_variants(graph, layers, [apart, closer], varied_inputs(graph))
    return any(
        ours.tobytes() != theirs.tobytes()
        for right, wrong in zip(results["apart"], results["closer"], strict=True)
        for ours, theirs in zip(right, wrong, strict=True)
    )


def works_at_distances(model: bytes, distances: Sequence[int], core: Core | None = None, place: int = 0) -> bool:
    """Whether a model of one op gives the same outputs with input `place` so many bytes above the output.

    The planner may choose any distance from `lead` on, not just the least.
    """
    graph = parse_graph(model, "op.tflite")
    layers = lower_graph(graph, core)
    op = layers[0].op
    variants = [Variant("apart", plan_with(graph, layers, {}))]
    for distance in distances:
        plan = plan_with(graph, layers, {op.outputs[0]: 0, op.inputs[place]: distance})
        variants.append(Variant(f"distance{distance}", plan))
    results = run_variants(graph, layers, variants, varied_inputs(graph))
    expected = [[output.tobytes() for output in outputs] for outputs in results["apart"]]
    return all(
        [[output.tobytes() for output in outputs] for outputs in found] == expected for found in results.values()
    )
