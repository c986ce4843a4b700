"""Layers as C: a function with literal parameters for one that stands alone, arguments for those that share one.

An instance of a kernel for each layer lets the compiler write a version for that shape. Where there is nothing to gain
by it (`Layer.shared`), or nothing wanted (`--optimize size`), layers of one kernel share a function, and differ by a
struct of its arguments in flash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Graph
from ..ops import Layer, Parameters
from ..plan import MemoryPlan, StreamedLayer
from .c_source import c_call, struct_rows
from .layer_call import LayerCall, layer_symbol
from .stream_source import RowMember, row_functions, stream_source

__all__ = ["LayerSource", "layer_source", "runs"]

_LARGEST_SHORT_OFFSET, _LARGEST_SHORT_ROWS = 2**16 - 1, 2**8 - 1


@dataclass(frozen=True)
class LayerSource:
    """What the template of the model's C file shows.

    Attributes:
        offset_type: The C type of offsets in the arena, for the arguments of shared functions.
        shared: The functions that serve several layers, in the order of their first layer.
        stream_inputs: The most tensors that a layer in a stream reads; 0 without streams.
        stream_edges: Whether some layer in a stream takes its image's rows in.
        row_type: The C type of numbers of rows.
        row_functions: What makes some rows of the layers that share a function.
        layers: All layers in the order in which they run.
    """

    offset_type: str
    shared: tuple[dict[str, Any], ...]
    stream_inputs: int
    stream_edges: bool
    row_type: str
    row_functions: tuple[dict[str, Any], ...]
    layers: tuple[dict[str, Any], ...]


def runs(layer: Layer, plan: MemoryPlan) -> bool:
    """Whether the layer does anything: a copy onto itself does not."""
    if not layer.is_copy:
        return True
    offsets = plan.tensor_offsets
    return offsets.get(layer.op.inputs[0]) != offsets[layer.op.outputs[0]]


def layer_source(graph: Graph, layers: Sequence[Layer], plan: MemoryPlan, *, share_all: bool) -> LayerSource:
    """Every layer, and the functions that layers share.

    Args:
        share_all: Whether all layers of one kernel share a function, and not only those that lose nothing by it.
    """
    most_inputs = max((layer.most_inputs for layer in layers if isinstance(layer, StreamedLayer)), default=0)
    calls = [_calls(graph, layer, step, plan, most_inputs) for step, layer in enumerate(layers)]
    groups: dict[tuple[object, ...], list[LayerCall]] = {}
    for call in (call for of_layer in calls for call in of_layer):
        if runs(call.layer, plan) and (share_all or call.layer.shared):
            groups.setdefault(call.signature, []).append(call)
    names: dict[tuple[object, ...], str] = {}
    for signature, members in groups.items():
        if len(members) > 1 or members[0].stream_inputs:
            base = members[0].layer.kernel.removeprefix("tinyml_")
            names[signature] = base if base not in names.values() else f"{base}_{len(names)}"
    streamed = [
        [RowMember(row, call, names.get(call.signature)) for row, call in zip(layer.row_layers, of_layer, strict=True)]
        if isinstance(layer, StreamedLayer)
        else []
        for layer, of_layer in zip(layers, calls, strict=True)
    ]
    edges = any(isinstance(layer, StreamedLayer) and layer.schedule.state is not None for layer in layers)
    functions = row_functions([member for of_stream in streamed for member in of_stream])
    sources = []
    for layer, of_layer, rows in zip(layers, calls, streamed, strict=True):
        source = _layer(graph, layer, plan)
        if isinstance(layer, StreamedLayer):
            source |= stream_source(layer, rows, functions, plan, most_inputs, edges=edges)
        else:
            source |= _call(of_layer[0], names.get(of_layer[0].signature))
        sources.append(source)
    return LayerSource(
        offset_type="uint16_t" if plan.arena_bytes <= _LARGEST_SHORT_OFFSET else "uint32_t",
        shared=tuple(_shared(groups[signature][0], name) for signature, name in names.items()),
        stream_inputs=most_inputs,
        stream_edges=edges,
        row_type="int16_t" if _most_rows(layers) > _LARGEST_SHORT_ROWS else "uint8_t",
        row_functions=tuple(function.source for function in functions),
        layers=tuple(sources),
    )


def _most_rows(layers: Sequence[Layer]) -> int:
    """Of any call in a stream."""
    streams = [layer for layer in layers if isinstance(layer, StreamedLayer)]
    calls = [rows for layer in streams for member in layer.row_layers for rows in member.rows]
    return max((max(rows.input_rows, rows.output_rows) for rows in calls), default=0)


def _calls(graph: Graph, layer: Layer, step: int, plan: MemoryPlan, most_inputs: int) -> list[LayerCall]:
    """Of the layer, or, in a stream, of each of its layers."""
    scratch = plan.scratch_offsets.get(step, 0)
    if isinstance(layer, StreamedLayer):
        return [
            LayerCall(graph, part, plan, scratch + layer.scratch_offset(place), stream_inputs=most_inputs)
            for place, part in enumerate(layer.parts)
        ]
    return [LayerCall(graph, layer, plan, scratch)]


def _shared(call: LayerCall, name: str) -> dict[str, Any]:
    """A function for several layers, and the struct of its arguments: offsets last, as they are the shortest."""
    members = sorted((passed.member[0] for passed in call.passed), key=lambda member: member.startswith("arena_"))
    return {
        "name": name,
        "kernel": call.layer.kernel,
        "members": members,
        "call": c_call(call.layer.kernel, [passed.from_struct for passed in call.passed], "  "),
    }


def _layer(graph: Graph, layer: Layer, plan: MemoryPlan) -> dict[str, Any]:
    op = layer.op
    shapes = [
        "x".join(str(size) for size in graph.tensors[index].shape) or "1" for index in (*op.inputs[:1], *op.outputs)
    ]
    return {
        "index": op.index,
        "op": op.name,
        "symbol": layer_symbol(layer),
        "shapes": " -> ".join(shapes),
        "macs": layer.macs,
        "runs": runs(layer, plan),
        "stream": None,
    }


def _call(call: LayerCall, shared: str | None) -> dict[str, Any]:
    parameters = next((argument for argument in call.layer.arguments if isinstance(argument, Parameters)), None)
    return {
        "shared": shared,
        "arguments": struct_rows({passed.name: passed.value for passed in call.passed}, "    ") if shared else "",
        "params_type": parameters.c_type if parameters else None,
        "params": struct_rows(parameters.fields, "      ") if parameters and not shared else "",
        "call": c_call(call.layer.kernel, [passed.literal for passed in call.passed], "  "),
    }
