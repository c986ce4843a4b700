"""Which layers run row by row: those around the arena's peak, where that makes the arena smaller.

A layer that runs alone writes its whole output before the next one starts. Where the arena is full at one of them, the
chains of layers around it are tried as streams (`streams.py`), first with as few rows at a time as possible. When no
chain makes the arena smaller any more, streams go back to as many rows at a time as the arena has room for, which takes
fewer instructions, and those without which it is as small go back to single layers.

(What takes less memory too is to compute an image in patches, as MCUNetV2 does: Lin et al., 2021, arXiv:2110.15352.
Patches overlap, and what lies in two of them is computed twice; rows do not.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..boards.cores import Core
from ..graph import Graph
from ..ops import Layer, Optimize, Rows, RowWindow, lower_rows, row_window
from .memory import plan_memory
from .order import layer_peaks
from .streams import StreamedLayer, build_stream, sketch_stream

__all__ = ["stream_layers"]

LONGEST = 8
"""Layers of a stream."""

ROWS_AT_ONCE = (1, 2, 4, 8, 16)
"""What is tried."""

LEAST_GAIN = 0.01
"""Share of the arena that a stream must save: each costs code and some instructions."""

MOST_EFFORT = 0.03
"""Share of an inference's estimated instructions that all streams together may add where speed counts."""


@dataclass(frozen=True, order=True)
class _Range:
    """Layers from `first` on, before `end`, as one stream of so many rows at a time."""

    first: int
    end: int
    rows: int = 1

    def meets(self, other: _Range) -> bool:
        """Whether they have a layer in common."""
        return self.first < other.end and other.first < self.end


def stream_layers(
    graph: Graph, layers: Sequence[Layer], core: Core | None = None, optimize: Optimize = "speed"
) -> tuple[Layer, ...]:
    """The layers with chains of them as streams, where that takes less memory. Deterministic.

    Args:
        graph: What the layers were lowered from.
        layers: In the order in which they run.
        core, optimize: What for.
    """
    search = _Search(graph, tuple(layers), core, optimize)
    ranges = search.affordable(search.roomier(search.smallest()))
    streamed = search.apply(ranges)
    return streamed if ranges else tuple(layers)


@dataclass
class _Search:
    graph: Graph
    layers: tuple[Layer, ...]
    core: Core | None
    optimize: Optimize
    windows: list[RowWindow | None] = field(init=False)
    sketches: dict[_Range, StreamedLayer | None] = field(default_factory=dict)
    built: dict[_Range, StreamedLayer | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.windows = [row_window(self.graph, layer) for layer in self.layers]

    # -- streams of ranges --------------------------------------------------------------------------------------------

    def sketch(self, span: _Range) -> StreamedLayer | None:
        """The stream of a range without its kernels' parameters, None where it cannot be one."""
        if span not in self.sketches:
            windows = self._windows(span)
            closed = len(windows) == span.end - span.first and self._is_closed(span)
            self.sketches[span] = (
                sketch_stream(self.graph, self.layers[span.first : span.end], windows, span.rows) if closed else None
            )
        return self.sketches[span]

    def build(self, span: _Range) -> StreamedLayer | None:
        """The stream of a range, None where it cannot be one."""
        if span not in self.built:
            sketch = self.sketch(span)
            self.built[span] = build_stream(sketch, self._windows(span), self._lower) if sketch else None
        return self.built[span]

    def _windows(self, span: _Range) -> list[RowWindow]:
        return [window for window in self.windows[span.first : span.end] if window is not None]

    def _lower(self, layer: Layer, window: RowWindow, rows: Rows) -> Layer:
        return lower_rows(self.graph, layer, window, rows, self.core, self.optimize)

    def _is_closed(self, span: _Range) -> bool:
        """Whether nobody outside needs what its layers make, but for the last."""
        made = {layer.op.outputs[0] for layer in self.layers[span.first : span.end - 1]}
        outside = (*self.layers[: span.first], *self.layers[span.end :])
        read = {index for layer in outside for index in layer.op.inputs}
        touched = {index for layer in self.layers[span.first : span.end] for index in (*layer.op.inputs, *layer.op.outputs)}
        return made.isdisjoint(read | set(self.graph.outputs)) and touched.isdisjoint(self.graph.variables)

    def apply(self, ranges: Sequence[_Range], *, sketched: bool = False) -> tuple[Layer, ...]:
        """All layers, those of the ranges as streams."""
        result: list[Layer] = []
        position = 0
        for span in sorted(ranges):
            stream = self.sketch(span) if sketched else self.build(span)
            assert stream is not None
            result += [*self.layers[position : span.first], stream]
            position = span.end
        return (*result, *self.layers[position:])

    # -- the search -----------------------------------------------------------------------------------------------------

    def smallest(self) -> list[_Range]:
        """Ranges, a row at a time, whose peak is lowered step by step until that gains nothing."""
        ranges: list[_Range] = []
        while True:
            peaks = layer_peaks(self.graph, self.apply(ranges))
            if not peaks:
                return ranges
            options = [self._with(ranges, span) for span in self._around(ranges, peaks.index(max(peaks)))]
            better = [option for option in options if self._peak(option) <= (1 - LEAST_GAIN) * max(peaks)]
            better = sorted(better, key=lambda option: (self._peak(option), self._length(option), option))
            ranges_or_none = next((option for option in better if all(map(self.build, option))), None)
            if ranges_or_none is None:
                return ranges
            ranges = ranges_or_none

    def _around(self, ranges: Sequence[_Range], place: int) -> Iterator[_Range]:
        """Ranges about the layer at a place of the order that has these ranges as streams already."""
        spans = self._spans(ranges)
        first, end = spans[place]
        for start in range(max(0, end - LONGEST), first + 1):
            for stop in range(end, min(len(self.layers), start + LONGEST) + 1):
                span = _Range(start, stop)
                if stop - start > max(1, end - first) and self.sketch(span) is not None:
                    yield span

    def _spans(self, ranges: Sequence[_Range]) -> list[tuple[int, int]]:
        """For each layer of the order, which of the single layers it is."""
        spans, position = [], 0
        for span in sorted(ranges):
            spans += [(place, place + 1) for place in range(position, span.first)]
            spans.append((span.first, span.end))
            position = span.end
        return [*spans, *((place, place + 1) for place in range(position, len(self.layers)))]

    def _with(self, ranges: Sequence[_Range], span: _Range) -> list[_Range]:
        """The ranges with one more, which takes the place of those that it meets."""
        return sorted([other for other in ranges if not other.meets(span)] + [span])

    def _peak(self, ranges: Sequence[_Range]) -> int:
        return max(layer_peaks(self.graph, self.apply(ranges, sketched=True)))

    def _length(self, ranges: Sequence[_Range]) -> int:
        return sum(span.end - span.first for span in ranges)

    def _arena(self, ranges: Sequence[_Range]) -> int:
        return plan_memory(self.graph, self.apply(ranges)).arena_bytes

    def roomier(self, ranges: list[_Range]) -> list[_Range]:
        """The same arena, or nearly, with fewer streams and with more rows at a time, as that takes fewer instructions."""
        if not ranges:
            return ranges
        arena = self._arena(ranges)
        for span in sorted(ranges, key=lambda span: span.first):
            others = [other for other in ranges if other != span]
            if self._arena(others) <= arena / (1 - LEAST_GAIN):
                ranges = others
                continue
            for rows in ROWS_AT_ONCE[1:]:
                more = _Range(span.first, span.end, rows)
                current = next(other for other in ranges if other.first == span.first)
                if not self._is_cheaper(more, current) or self._arena([*others, more]) > arena:
                    continue
                ranges = sorted([*others, more])
        return ranges if ranges and arena < self._arena([]) else []

    def _is_cheaper(self, more: _Range, current: _Range) -> bool:
        stream, now = self.build(more), self.build(current)
        assert now is not None
        return stream is not None and stream.cost < now.cost

    # -- instructions ---------------------------------------------------------------------------------------------------

    def affordable(self, ranges: list[_Range]) -> list[_Range]:
        """Where speed counts, without the streams that cost most until the rest is cheap enough."""
        total = sum(map(_cost, self.layers))
        while self.optimize == "speed" and sum(map(self._effort, ranges)) > MOST_EFFORT * total:
            ranges = [span for span in ranges if span != max(ranges, key=self._effort)]
        return ranges if ranges and self._arena(ranges) < self._arena([]) else []

    def _effort(self, span: _Range) -> int:
        """Instructions that a stream costs more than its layers one by one."""
        stream = self.build(span)
        assert stream is not None
        return stream.cost - sum(map(_cost, self.layers[span.first : span.end]))


def _cost(layer: Layer) -> int:
    """Estimated instructions of a layer, 0 where nobody estimated them."""
    return next((choice.cost or 0 for choice in layer.choices if choice.taken), 0)
