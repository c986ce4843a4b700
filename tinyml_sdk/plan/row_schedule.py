"""When each layer of a stream makes which of its rows, and how many rows between two layers must be kept.

All layers go through their images together. In each step the last one makes some rows, and those before it the rows
that this takes and that are not there yet. Rows between two layers lie in a buffer, which moves on at the start of each
step: what no layer reads any more goes, the rest goes to the front. Nothing is computed twice.

A last layer that makes one pixel of its whole image takes the rows in as they come, and makes it with the last.

Row numbers are linear in the step until they meet the image's edges. So a buffer's size and its move are the same in
all steps, and no step makes more rows than another: the first layers begin some steps before the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..graph import ABSENT, Graph
from ..ops import Layer, Rows, RowWindow
from .placement import align

__all__ = ["Place", "RowBuffer", "RowCall", "RowSchedule", "Step", "row_bytes", "schedule_rows"]


@dataclass(frozen=True)
class Place:
    """Bytes from the start of a tensor, or, where `tensor` is None, from the start of the stream's scratch memory."""

    tensor: int | None
    offset: int


@dataclass(frozen=True)
class RowBuffer:
    """What is kept of a tensor between two layers.

    Attributes:
        offset: Bytes from the start of the stream's scratch memory.
        rows: How many rows there is room for.
        step: How many of them each step drops.
    """

    tensor: int
    offset: int
    rows: int
    step: int
    row_bytes: int

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.rows * self.row_bytes

    @property
    def kept_bytes(self) -> int:
        """What moves to the front at the start of each step."""
        return max(0, self.rows - self.step) * self.row_bytes


@dataclass(frozen=True)
class RowCall:
    """One call of a layer's kernel.

    Attributes:
        first_row: The first row that it makes.
        rows: How many, and what they read.
        inputs: Where its activations' rows are, in the order of the op's inputs.
        output: Where its rows go.
    """

    first_row: int
    rows: Rows
    inputs: tuple[Place, ...]
    output: Place


Step = tuple[RowCall | None, ...]
"""For each layer its call in a step, None where it makes no rows."""


@dataclass(frozen=True)
class RowSchedule:
    """All steps of a stream.

    Attributes:
        inputs: The tensors from outside that its layers read.
        output: The tensor that the last layer writes.
        leads: For each input, as `Layer.lead`.
        buffer_bytes: Scratch memory for all buffers.
        state: Of the last layer, if it takes rows in: where it keeps what it knows of them, behind the buffers.
        advances: For each layer, by how many bytes its inputs and its output move from a step to the next, away from
            the image's edges: 0 where they lie in a buffer.
    """

    inputs: tuple[int, ...]
    output: int
    steps: tuple[Step, ...]
    buffers: tuple[RowBuffer, ...]
    leads: tuple[int, ...]
    buffer_bytes: int
    advances: tuple[tuple[int, ...], ...]
    state: int | None = None


@dataclass(frozen=True)
class _Pace:
    """Row numbers of a tensor in step s, as if the image had no edges.

    Rows from `slope * s + start` on, before `slope * s + end`, are made in it, and none before `slope * s + low` is
    read in it or later.
    """

    slope: int
    start: int
    end: int
    low: int


def schedule_rows(
    graph: Graph, layers: Sequence[Layer], windows: Sequence[RowWindow], rows_at_once: int
) -> RowSchedule | None:
    """The schedule of layers of which the last one makes `rows_at_once` rows in a step; None where there is none.

    Every layer must have one output, which only these layers read, but for the last.
    """
    if any(window.state_bytes for window in windows[:-1]):
        return None
    paces = _paces(graph, layers, windows, rows_at_once)
    if paces is None:
        return None
    made = [layer.op.outputs[0] for layer in layers]
    buffers: dict[int, RowBuffer] = {}
    offset = 0
    for index in made[:-1]:
        pace = paces[index]
        buffers[index] = RowBuffer(index, offset, pace.end - pace.low, pace.slope, row_bytes(graph, index))
        offset += align(buffers[index].bytes)
    first = min(-((paces[index].end - 1) // paces[index].slope) for index in made)
    last = -(-windows[-1].output_height // rows_at_once)
    walk = _Walk(graph, layers, windows, paces, buffers)
    steps = tuple(walk.step(number) for number in range(first, last))
    inputs = tuple(dict.fromkeys(index for layer in layers for index in _images(graph, layer) if index not in made))
    leads = tuple(_lead(graph, layers, windows, steps, index) for index in inputs)
    advances = tuple(walk.advances(layer, window) for layer, window in zip(layers, windows, strict=True))
    state = offset if windows[-1].state_bytes else None
    offset += align(windows[-1].state_bytes)
    return RowSchedule(inputs, made[-1], steps, tuple(buffers.values()), leads, offset, advances, state)


def _images(graph: Graph, layer: Layer) -> tuple[int, ...]:
    """The tensors of a layer's inputs that are images: the first ones. One may be there twice."""
    return tuple(index for index in layer.op.inputs if index != ABSENT and not graph.tensors[index].is_constant)


def row_bytes(graph: Graph, index: int) -> int:
    """Bytes of a row of an image."""
    tensor = graph.tensors[index]
    return tensor.bytes // tensor.shape[1]


def _paces(
    graph: Graph, layers: Sequence[Layer], windows: Sequence[RowWindow], rows_at_once: int
) -> dict[int, _Pace] | None:
    """From the last layer to the first: each tensor at the pace that its readers ask for."""
    paces = {layers[-1].op.outputs[0]: _Pace(rows_at_once, 0, rows_at_once, 0)}
    for position in range(len(layers) - 2, -1, -1):
        index = layers[position].op.outputs[0]
        readers = [
            (window, paces[layer.op.outputs[0]])
            for layer, window in zip(layers[position + 1 :], windows[position + 1 :], strict=True)
            if index in layer.op.inputs
        ]
        slopes = {pace.slope * window.stride for window, pace in readers}
        if len(slopes) != 1:
            return None
        (slope,) = slopes
        end = max(window.end_row(pace.end) for window, pace in readers)
        low = min(window.first_row(pace.start) for window, pace in readers)
        paces[index] = _Pace(slope, max(low, end - slope), end, low)
    return paces


@dataclass(frozen=True)
class _Walk:
    graph: Graph
    layers: Sequence[Layer]
    windows: Sequence[RowWindow]
    paces: dict[int, _Pace]
    buffers: dict[int, RowBuffer]

    def step(self, number: int) -> Step:
        return tuple(self._call(number, layer, window) for layer, window in zip(self.layers, self.windows, strict=True))

    def _call(self, number: int, layer: Layer, window: RowWindow) -> RowCall | None:
        pace = self.paces[layer.op.outputs[0]]
        start = max(0, pace.slope * number + pace.start)
        end = min(window.output_height, pace.slope * number + pace.end)
        if end <= start:
            return None
        row, rows = window.rows(start, end)
        inputs = tuple(self._place(number, index, row) for index in _images(self.graph, layer))
        output_row = 0 if window.state_bytes else start
        return RowCall(start, rows, inputs, self._place(number, layer.op.outputs[0], output_row))

    def advances(self, layer: Layer, window: RowWindow) -> tuple[int, ...]:
        """How far a layer's places move from a step to the next."""
        output = layer.op.outputs[0]
        rows = [
            *[(index, window.stride) for index in _images(self.graph, layer)],
            (output, 0 if window.state_bytes else 1),
        ]
        slope = self.paces[output].slope
        return tuple(
            0 if index in self.buffers else slope * stride * row_bytes(self.graph, index) for index, stride in rows
        )

    def _place(self, number: int, index: int, row: int) -> Place:
        """Where a tensor's row lies in a step."""
        buffer = self.buffers.get(index)
        if buffer is None:
            return Place(index, row * row_bytes(self.graph, index))
        pace = self.paces[index]
        return Place(None, buffer.offset + (row - pace.slope * number - pace.low) * buffer.row_bytes)


def _lead(
    graph: Graph, layers: Sequence[Layer], windows: Sequence[RowWindow], steps: Sequence[Step], index: int
) -> int:
    """How far an input must start above the output: no byte is written before its last reading.

    Only the last layer writes the output. Where it reads the input in the same call, its own rule holds for the rows
    if it is elementwise. Other kernels may move their input within their memory, so theirs must lie above the rows.
    One that takes rows in writes when nothing is left to be read.
    """
    if windows[-1].state_bytes:
        return 0
    output = layers[-1].op.outputs[0]
    output_row = row_bytes(graph, output)
    # Until there is a reading: where all that is written ends.
    lead, lowest_read = 0, graph.tensors[output].bytes
    for step in reversed(steps):
        if (last := step[-1]) is not None:
            end = last.output.offset + last.rows.output_rows * output_row
            lead = max(lead, end - lowest_read)
            for place, tensor in enumerate(layers[-1].op.inputs):
                if tensor == index:
                    own = layers[-1].lead_of(place) if windows[-1].is_elementwise else None
                    written = end if own is None else last.output.offset + own
                    lead = max(lead, written - last.inputs[place].offset)
        reads = [place.offset for call in step if call is not None for place in call.inputs if place.tensor == index]
        lowest_read = min([lowest_read, *reads])
    return lead
