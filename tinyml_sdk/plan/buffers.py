"""What needs room in the arena, from when to when, and which pairs of buffers may share bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..graph import ABSENT, Graph, Tensor
from ..ops import Layer

__all__ = ["Buffer", "find_buffers", "find_leads"]

BEFORE_FIRST_LAYER = -1
"""The time at which the model's inputs are written."""


@dataclass(frozen=True)
class Buffer:
    """A span of the arena. It holds its bytes from layer `first` to layer `last`, both included.

    Attributes:
        tensor: The tensor it holds, or None for a layer's scratch memory.
        layer: For scratch memory, the position of the layer that uses it.
    """

    bytes: int
    first: int
    last: int
    tensor: int | None = None
    layer: int | None = None

    def meets(self, other: Buffer) -> bool:
        """Whether both are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


def find_buffers(graph: Graph, layers: Sequence[Layer]) -> tuple[Buffer, ...]:
    """The arena's buffers: every tensor that is not constant, and the layers' scratch memory.

    Inputs live from before the first layer, outputs to the end, variables for ever. A tensor that no op reads still
    needs room while it is written.
    """
    end = len(layers)
    first: dict[int, int] = dict.fromkeys((*graph.inputs, *graph.variables), BEFORE_FIRST_LAYER)
    last: dict[int, int] = dict.fromkeys(graph.inputs, BEFORE_FIRST_LAYER)
    for step, layer in enumerate(layers):
        for index in layer.op.outputs:
            first.setdefault(index, step)
            last[index] = step
        for index in layer.op.inputs:
            if index != ABSENT and not graph.tensors[index].is_constant:
                last[index] = step
    last.update(dict.fromkeys((*graph.outputs, *graph.variables), end))
    tensors = [Buffer(graph.tensors[index].bytes, first[index], last[index], tensor=index) for index in sorted(first)]
    scratch = [
        Buffer(layer.scratch_bytes, step, step, layer=step) for step, layer in enumerate(layers) if layer.scratch_bytes
    ]
    return (*tensors, *scratch)


def find_leads(graph: Graph, layers: Sequence[Layer], buffers: Sequence[Buffer]) -> dict[tuple[int, int], int]:
    """Pairs that may overlap: (position of an input, position of an output) in `buffers` → lead in bytes.

    The input must not be needed after the layer, and every way in which the layer reads it must allow the overlap.
    """
    position = {buffer.tensor: place for place, buffer in enumerate(buffers) if buffer.tensor is not None}
    leads: dict[tuple[int, int], int] = {}
    for step, layer in enumerate(layers):
        # A variable holds its bytes all the time, not only from the layer on that writes it.
        if len(layer.op.outputs) != 1 or layer.op.outputs[0] in graph.variables:
            continue
        output = position[layer.op.outputs[0]]
        for index in set(layer.op.inputs) & position.keys():
            ways = [layer.lead_of(place) for place, used in enumerate(layer.op.inputs) if used == index]
            allowed = [lead for lead in ways if lead is not None]
            if buffers[position[index]].last == step and len(allowed) == len(ways):
                leads[position[index], output] = max(allowed)
    return leads


def label(graph: Graph, layers: Sequence[Layer], buffer: Buffer) -> str:
    """A name for people: the tensor's, or which layer's scratch memory it is."""
    if buffer.tensor is None:
        assert buffer.layer is not None
        indices = [part.op.index for part in layers[buffer.layer].parts]
        between = f"rows between layers {min(indices)} to {max(indices)}, and their scratch"
        return f"scratch of layer {indices[0]}" if len(indices) == 1 else between
    tensor: Tensor = graph.tensors[buffer.tensor]
    return tensor.name or f"tensor {tensor.index}"
