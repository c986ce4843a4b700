"""The judgement on operators: generated C, in every memory layout it allows, equals TFLM byte for byte.

Typical use:

    builder = ModelBuilder()
    x, y = builder.input((1, 8), 0.1, -3), builder.output((1, 8), 1 / 256, -128)
    builder.op("LOGISTIC", [x], [y])
    assert_equals_tflm(builder.build())
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyml_sdk.boards.cores import CORES, Core
from tinyml_sdk.graph import ABSENT, DType, Graph, Tensor, parse_graph
from tinyml_sdk.ops import Layer, Optimize, lower_graph
from tinyml_sdk.plan import MemoryPlan, plan_memory

from .host_c import Variant, run_variants
from .tflm import run_tflm

Array = npt.NDArray[Any]


CORES_WITH_KERNELS = (None, CORES["cortex-m4"])
"""Kernels differ by the core's features; all of them run on this machine, through their twins in portable C."""


def lower(model: bytes, core: Core | None = None, optimize: Optimize = "speed") -> tuple[Layer, ...]:
    """The layers of a model with the kernels of a core; what raises ModelError for one that is refused."""
    return lower_graph(parse_graph(model, "op.tflite"), core, optimize)


def assert_equals_tflm(
    model: bytes,
    inferences: Sequence[Sequence[Array]] | None = None,
    *,
    seed: int = 0,
    anew: bool = True,
    cores: Sequence[Core | None] = CORES_WITH_KERNELS,
) -> list[list[Array]]:
    """Run a model as TFLM does, and as generated C in several variants, with the kernels of several cores.

    All bytes of all outputs must be the same.

    Args:
        model: The .tflite file.
        inferences: Inputs; eight of several amplitudes where not given.
        seed: For those.
        anew: Whether variables are reset before each inference, or keep what the one before left.
        cores: Whose kernels to run.

    Returns:
        The outputs of each inference.
    """
    graph = parse_graph(model, "op.tflite")
    inferences = varied_inputs(graph, seed) if inferences is None else inferences
    expected = run_tflm(model, inferences, anew=anew)
    seen: set[tuple[str, ...]] = set()
    for core in cores:
        kernels = tuple(layer.kernel for layer in lower_graph(graph, core))
        if kernels in seen:
            continue
        seen.add(kernels)
        for name, outputs in run_generated(graph, inferences, core, anew=anew).items():
            what = f"{', '.join(kernels)}: variant {name}"
            for inference, (mine, theirs) in enumerate(zip(outputs, expected, strict=True)):
                for index, (ours, reference) in enumerate(zip(mine, theirs, strict=True)):
                    _assert_same_bytes(ours, reference, f"{what}, inference {inference}, output {index}")
    return expected


def run_generated(
    graph: Graph, inferences: Sequence[Sequence[Array]], core: Core | None = None, *, anew: bool = True
) -> dict[str, list[list[Array]]]:
    """The outputs of each inference by variant: see `variants_of`."""
    layers, small = lower_graph(graph, core), lower_graph(graph, core, "size")
    return run_variants(graph, layers, variants_of(graph, layers, small), inferences, anew=anew)


def variants_of(graph: Graph, layers: Sequence[Layer], small: Sequence[Layer] | None = None) -> list[Variant]:
    """Optimized for speed as planned, for size with every tensor apart, and with one op also in its tightest overlaps.

    Those are: for each input that allows it, the output exactly `lead` bytes below it, so that one byte less of lead
    than the kernel needs shows as a wrong result. Left out where the planner has placed them so itself.

    Args:
        small: The layers for size, where their kernels were chosen for it.
    """
    variants = [
        Variant("planned", plan_memory(graph, layers)),
        Variant("apart", plan_with(graph, small or layers, {}), "size", small),
    ]
    if len(layers) == 1:
        places = ["tensor_offsets", *(["scratch_offsets"] if layers[0].scratch_bytes else [])]
        for variant in (tightest(graph, layers, place) for place in range(len(layers[0].op.inputs))):
            if variant and any(getattr(variant.plan, name) != getattr(variants[0].plan, name) for name in places):
                variants.append(variant)
    return variants


def tightest(graph: Graph, layers: Sequence[Layer], place: int) -> Variant | None:
    """The output of the one op exactly `lead` bytes below an input, if the two may overlap."""
    layer = layers[0]
    index, lead = layer.op.inputs[place], layer.lead_of(place)
    # The same tensor twice: the stricter way of reading it decides, and the planner's variant covers it.
    if index == ABSENT or graph.tensors[index].is_constant or lead is None or layer.op.inputs.count(index) > 1:
        return None
    lead += -lead % graph.tensors[index].dtype.bytes
    return Variant(f"tight{place}", plan_with(graph, layers, {layer.op.outputs[0]: 0, index: lead}))


def varied_inputs(graph: Graph, seed: int = 0) -> list[list[Array]]:
    """Eight inferences: noise over the whole range, quieter, about the zero point, the extremes, constants, a ramp."""
    rng = np.random.default_rng(seed)
    return [[_varied(rng, tensor, kind) for tensor in graph.input_tensors] for kind in range(8)]


def _varied(rng: np.random.Generator, tensor: Tensor, kind: int) -> Array:
    if tensor.dtype is DType.FLOAT32:
        return rng.normal(0, 10.0 ** (kind - 4), tensor.shape).astype(np.float32)
    low, high = (0, 255) if tensor.dtype is DType.UINT8 else (-128, 127)
    zero_point = tensor.zero_point if tensor.quantization else 0
    size = tensor.elements
    values = (
        lambda: rng.integers(low, high + 1, size),
        lambda: zero_point + np.rint(rng.normal(0, 30, size)),
        lambda: zero_point + rng.integers(-3, 4, size),
        lambda: rng.choice([low, high], size),
        lambda: np.full(size, zero_point),
        lambda: np.full(size, rng.choice([low, high])),
        lambda: low + (np.arange(size) + rng.integers(256)) % 256,
        lambda: rng.integers(low, high + 1, size),
    )[kind]()
    return np.clip(values, low, high).astype(tensor.dtype.numpy).reshape(tensor.shape)


def plan_with(graph: Graph, layers: Sequence[Layer], fixed: dict[int, int]) -> MemoryPlan:
    """A plan with some tensors at given offsets, and all others behind one another above them."""
    sizes = {tensor.index: tensor.bytes for tensor in graph.tensors if not tensor.is_constant}
    offsets = dict(fixed)
    top = max((offset + sizes[index] for index, offset in fixed.items()), default=0)
    scratch = {}
    for index, size in sizes.items():
        if index not in offsets:
            offsets[index] = -(-top // 4) * 4
            top = offsets[index] + size
    for position, layer in enumerate(layers):
        scratch[position] = -(-top // 4) * 4
        top = scratch[position] + layer.scratch_bytes
    return MemoryPlan(
        arena_bytes=top,
        tensor_offsets=offsets,
        scratch_offsets=scratch,
        lower_bound=0,
        live_bytes=0,
        optimal=False,
        peak_layer=0,
        peak=(),
    )


def _assert_same_bytes(ours: Array, reference: Array, what: str) -> None:
    assert (ours.shape, ours.dtype) == (reference.shape, reference.dtype), what
    if ours.tobytes() != reference.tobytes():
        differing = np.flatnonzero(ours.reshape(-1) != reference.reshape(-1))
        first = differing[0] if len(differing) else 0
        raise AssertionError(
            f"{what}: {len(differing)} of {ours.size} elements differ; at {first} "
            f"ours is {ours.reshape(-1)[first]}, TFLM's {reference.reshape(-1)[first]}"
        )
