"""The memory plan of a model: an address in the arena for every tensor, and how good the plan is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..graph import Graph
from ..ops import Layer
from .buffers import Buffer, find_buffers, find_leads, label
from .placement import ALIGNMENT, lower_bound, place

__all__ = ["LiveBuffer", "MemoryPlan", "fits_arena", "plan_memory"]


@dataclass(frozen=True)
class LiveBuffer:
    """A buffer in the arena at the peak: its name for people, offset and size in bytes."""

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """Offsets and sizes in bytes, from the arena's start, which must be aligned to `alignment`.

    Attributes:
        arena_bytes: Size of the arena, inputs, outputs and scratch memory included.
        tensor_offsets: Tensor index → offset, for every tensor that is not constant.
        scratch_offsets: Position of a layer → offset of its scratch memory.
        lower_bound: What no placement of these layers in this order can go below.
        live_bytes: The most bytes that live at any time if nothing may overlap: a plain planner's lower bound.
        optimal: Whether a smaller arena is proved impossible.
        peak_layer: The position of the layer at which most is alive.
        peak: What lives then.
    """

    arena_bytes: int
    tensor_offsets: Mapping[int, int]
    scratch_offsets: Mapping[int, int]
    lower_bound: int
    live_bytes: int
    optimal: bool
    peak_layer: int
    peak: tuple[LiveBuffer, ...]
    alignment: int = ALIGNMENT


def plan_memory(graph: Graph, layers: Sequence[Layer]) -> MemoryPlan:
    """Place all tensors and scratch buffers of a model whose layers run in the given order."""
    buffers = find_buffers(graph, layers)
    leads = find_leads(graph, layers, buffers)
    placement = place(buffers, leads)
    offsets = dict(zip(buffers, placement.offsets, strict=True))
    peak_layer, peak = _peak(buffers, len(layers))
    return MemoryPlan(
        arena_bytes=placement.bytes,
        tensor_offsets={buffer.tensor: offset for buffer, offset in offsets.items() if buffer.tensor is not None},
        scratch_offsets={buffer.layer: offset for buffer, offset in offsets.items() if buffer.layer is not None},
        lower_bound=lower_bound(buffers, leads),
        live_bytes=sum(buffer.bytes for buffer in peak),
        optimal=placement.optimal,
        peak_layer=peak_layer,
        peak=tuple(LiveBuffer(label(graph, layers, buffer), offsets[buffer], buffer.bytes) for buffer in peak),
    )


def fits_arena(graph: Graph, layers: Sequence[Layer], room: int) -> bool:
    """Whether `plan_memory` would find room in so many bytes, told sooner."""
    buffers = find_buffers(graph, layers)
    leads = find_leads(graph, layers, buffers)
    return lower_bound(buffers, leads) <= room and place(buffers, leads, enough=room).bytes <= room


def _peak(buffers: Sequence[Buffer], layer_count: int) -> tuple[int, list[Buffer]]:
    """The layer at which the sum of live bytes is largest, and what lives there."""
    live = [[buffer for buffer in buffers if buffer.first <= layer <= buffer.last] for layer in range(layer_count)]
    peak_layer = max(range(layer_count), key=lambda layer: (sum(buffer.bytes for buffer in live[layer]), -layer))
    return peak_layer, sorted(live[peak_layer], key=lambda buffer: -buffer.bytes)
