"""Which layers run row by row: those around the arena's peak, where that makes the arena smaller.

A layer that runs alone writes its whole output before the next one starts. Where the arena is full at one of them, the
chains of layers around it are tried as streams (`streams.py`), a row at a time. When no chain makes the arena smaller
any more, streams take as many rows at a time as the arena has room for, which costs fewer instructions, and those
without which it is as small go back to single layers. Where they cost too much nevertheless, they get more room.

(What takes less memory too is to compute an image in patches, as MCUNetV2 does: Lin et al., 2021, arXiv:2110.15352.
Patches overlap, and what lies in two of them is computed twice; rows do not.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..boards.cores import Core
from ..graph import Graph
from ..ops import Layer, Optimize, Rows, RowWindow, lower_rows, row_window
from .memory import plan_memory
from .order import layer_peaks
from .streams import StreamedLayer, build_stream, sketch_stream

__all__ = ["Streaming", "stream_layers"]

LENGTHS = (2, 3, 4, 6, 8)
"""Layers of the longest stream: what is tried. Long streams take more steps at the image's edges, and more tables."""

LONGER_GAIN = 0.05
"""Share of the arena that longer streams must save."""

ROWS_AT_ONCE = (1, 2, 4, 8, 16)
"""What is tried."""

LEAST_GAIN, LEAST_BYTES = 0.01, 256
"""Share of the arena, and bytes, that a stream must save: it costs half a KB of code or more, and instructions."""

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


@dataclass(frozen=True, eq=False)
class Streaming:
    """Layers of which some may be streams. `arena_before`: bytes without any, None where there are none."""

    layers: tuple[Layer, ...]
    arena_before: int | None = None


def stream_layers(
    graph: Graph, layers: Sequence[Layer], core: Core | None = None, optimize: Optimize = "speed"
) -> Streaming:
    """The layers with chains of them as streams, where that takes less memory. Deterministic.

    Args:
        graph: What the layers were lowered from.
        layers: In the order in which they run.
        core, optimize: What for.
    """
    search = _Search(graph, tuple(layers), core, optimize)
    if sum(window is not None for window in search.windows) < min(LENGTHS):
        return Streaming(tuple(layers))
    ranges = search.affordable(search.roomier(search.smallest()))
    return Streaming(search.apply(ranges), search.arena([])) if ranges else Streaming(tuple(layers))


@dataclass
class _Search:
    graph: Graph
    layers: tuple[Layer, ...]
    core: Core | None
    optimize: Optimize
    windows: list[RowWindow | None] = field(init=False)
    sketches: dict[_Range, StreamedLayer | None] = field(default_factory=dict)
    built: dict[_Range, StreamedLayer | None] = field(default_factory=dict)
    peaks: dict[tuple[_Range, ...], int] = field(default_factory=dict)
    arenas: dict[tuple[_Range, ...], int] = field(default_factory=dict)

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
        touched = {
            index for layer in self.layers[span.first : span.end] for index in (*layer.op.inputs, *layer.op.outputs)
        }
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

    # -- the search ---------------------------------------------------------------------------------------------------

    def smallest(self) -> list[_Range]:
        """Ranges, a row at a time, with the lowest peak; or nearly, if that takes shorter ones."""
        found = [self._smallest(longest) for longest in LENGTHS if longest <= max(2, len(self.layers))]
        least = min(map(self._peak, found))
        return next(ranges for ranges in found if self._peak(ranges) <= (1 + LONGER_GAIN) * least)

    def _smallest(self, longest: int) -> list[_Range]:
        """The highest peak is lowered, step by step, until that gains nothing."""
        ranges: list[_Range] = []
        while True:
            peaks = layer_peaks(self.graph, self.apply(ranges, sketched=True))
            options = [self._with(ranges, span) for span in self._around(ranges, peaks.index(max(peaks)), longest)]
            lower = [option for option in options if self._peak(option) <= _clearly_below(max(peaks))]
            lower.sort(key=lambda option: (self._peak(option), self._length(option), option))
            better = next((option for option in lower if all(map(self.build, option))), None)
            if better is None:
                return ranges
            ranges = better

    def _around(self, ranges: Sequence[_Range], place: int, longest: int) -> Iterator[_Range]:
        """Ranges about the layer at a place of the order that has these ranges as streams already."""
        first, end = self._spans(ranges)[place]
        for start in range(max(0, end - longest), first + 1):
            for stop in range(end, min(len(self.layers), start + longest) + 1):
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

    def _length(self, ranges: Sequence[_Range]) -> int:
        return sum(span.end - span.first for span in ranges)

    def _peak(self, ranges: Sequence[_Range]) -> int:
        """What the arena cannot be smaller than."""
        key = tuple(ranges)
        if key not in self.peaks:
            self.peaks[key] = max(layer_peaks(self.graph, self.apply(ranges, sketched=True)))
        return self.peaks[key]

    def arena(self, ranges: Sequence[_Range]) -> int:
        """Bytes of the arena with the streams of these ranges."""
        key = tuple(ranges)
        if key not in self.arenas:
            self.arenas[key] = plan_memory(self.graph, self.apply(ranges)).arena_bytes
        return self.arenas[key]

    def _fits(self, ranges: Sequence[_Range], arena: int) -> bool:
        return self._peak(ranges) <= arena and self.arena(ranges) <= arena

    def roomier(self, ranges: list[_Range]) -> list[_Range]:
        """About the same arena with fewer streams, or with more rows at a time where that takes fewer instructions."""
        if not ranges:
            return ranges
        arena = self.arena(ranges)
        for span in sorted(ranges):
            others = [other for other in ranges if other != span]
            if _clearly_below(self._peak(others)) < arena and _clearly_below(self.arena(others)) < arena:
                ranges = others
                continue
            options = (self._with(others, replace(span, rows=rows)) for rows in ROWS_AT_ONCE[:0:-1])
            ranges = next((option for option in options if self._is_better(option, ranges, arena)), ranges)
        return ranges

    def _is_better(self, option: Sequence[_Range], ranges: Sequence[_Range], arena: int) -> bool:
        """Whether ranges take fewer instructions than others, and no more than the arena."""
        if self._peak(option) > arena or not all(map(self.build, option)):
            return False
        return self._effort(option) < self._effort(ranges) and self._fits(option, arena)

    # -- instructions -------------------------------------------------------------------------------------------------

    def affordable(self, ranges: list[_Range]) -> list[_Range]:
        """Where speed counts, with more rows at a time, though that takes memory, or less streams, until they are."""
        most = MOST_EFFORT * sum(map(_cost, self.layers)) if self.optimize == "speed" else float("inf")
        while ranges and self._effort(ranges) > most:
            dearest = max(ranges, key=lambda span: self._effort([span]))
            others = [span for span in ranges if span != dearest]
            more = [self._with(others, replace(dearest, rows=rows)) for rows in ROWS_AT_ONCE if rows > dearest.rows]
            room = _clearly_below(self.arena(others))
            ranges = next((option for option in more if self._is_better(option, ranges, room)), others)
        return ranges if ranges and self.arena(ranges) < self.arena([]) else []

    def _effort(self, ranges: Sequence[_Range]) -> int:
        """Instructions that streams cost more than their layers one by one."""
        effort = 0
        for span in ranges:
            stream = self.build(span)
            assert stream is not None
            effort += stream.cost - sum(map(_cost, self.layers[span.first : span.end]))
        return effort


def _clearly_below(arena: int) -> int:
    """Bytes that are worth a stream."""
    return min(int((1 - LEAST_GAIN) * arena), arena - LEAST_BYTES)


def _cost(layer: Layer) -> int:
    """Estimated instructions of a layer, 0 where nobody estimated them."""
    return next((choice.cost or 0 for choice in layer.choices if choice.taken), 0)
