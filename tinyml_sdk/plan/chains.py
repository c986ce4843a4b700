"""Chains of a model's layers that may be streams: what each of them would cost, worked out once and only when asked.

What is asked first costs least: a bound from the layers' shapes, then the peak of live bytes, which takes a schedule of
rows, and at last the stream itself, for which kernels are chosen anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..boards.cores import Core
from ..graph import Graph
from ..ops import Layer, Optimize, Rows, RowWindow, lower_rows, row_window
from .memory import fits_arena, plan_memory
from .order import LiveBytes
from .placement import align
from .row_schedule import row_bytes
from .streams import StreamedLayer, build_stream, sketch_stream

__all__ = ["Chain", "Chains"]

IMPOSSIBLE = 2**62
"""The peak of a chain that cannot be a stream."""


@dataclass(frozen=True, order=True)
class Chain:
    """Layers from position `first` on, before `end`, as one stream of so many rows at a time."""

    first: int
    end: int
    rows: int = 1

    @property
    def length(self) -> int:
        """How many layers it has."""
        return self.end - self.first


class Chains:
    """The chains of a model's layers.

    Args:
        graph: What the layers were lowered from.
        layers: In the order in which they run.
        core, optimize: What for.
    """

    def __init__(self, graph: Graph, layers: Sequence[Layer], core: Core | None, optimize: Optimize) -> None:
        self.graph, self.layers, self.core, self.optimize = graph, tuple(layers), core, optimize
        self.windows = [row_window(graph, layer) for layer in self.layers]
        self.live = LiveBytes(graph, self.layers)
        self._last_reader = self._find_last_readers()
        self._sketches: dict[Chain, StreamedLayer | None] = {}
        self._built: dict[Chain, StreamedLayer | None] = {}
        self._of_rows: dict[tuple[int, Rows], Layer] = {}
        self._peaks: dict[Chain, int] = {}
        self._arenas: dict[tuple[Chain, ...], int] = {}

    # -- which there are ----------------------------------------------------------------------------------------------

    def ending_at(self, end: int, longest: int) -> Iterator[Chain]:
        """Chains of two layers or more, a row at a time, that end before a position: what may be a stream at all."""
        for first in range(end - 1, max(0, end - longest) - 1, -1):
            window = self.windows[first]
            if window is None or self._touches_variable(self.layers[first]) or (window.state_bytes and first < end - 1):
                return
            # Nobody behind the chain may read what its layers make, but for the last.
            if first < end - 1 and all(self._last_reader[place] < end for place in range(first, end - 1)):
                yield Chain(first, end)

    def _find_last_readers(self) -> list[int]:
        """The position of the last layer that reads what each layer makes; behind all of them for the model's user."""
        readers: dict[int, int] = {}
        for place, layer in enumerate(self.layers):
            readers.update(dict.fromkeys(layer.op.inputs, place))
        readers.update(dict.fromkeys((*self.graph.outputs, *self.graph.variables), len(self.layers)))
        return [max(readers.get(index, place) for index in layer.op.outputs) for place, layer in enumerate(self.layers)]

    def _touches_variable(self, layer: Layer) -> bool:
        return not set(self.graph.variables).isdisjoint((*layer.op.inputs, *layer.op.outputs))

    # -- bytes --------------------------------------------------------------------------------------------------------

    def least_peak(self, chain: Chain) -> int:
        """What the peak of a chain cannot be below: what lives before it or after it, and a window of each tensor."""
        if chain in self._peaks:
            return self._peaks[chain]
        live = max(self.live.between[chain.first], self.live.between[chain.end])
        return live + sum(self._least_rows(place, chain.end) for place in range(chain.first, chain.end - 1))

    def _least_rows(self, place: int, end: int) -> int:
        """Bytes of the rows that one reader's window covers of what a layer makes."""
        index = self.layers[place].op.outputs[0]
        windows = [self.windows[reader] for reader in range(place + 1, end) if index in self.layers[reader].op.inputs]
        return align(max((window.reach for window in windows if window), default=0) * row_bytes(self.graph, index))

    def peak(self, chain: Chain) -> int:
        """Bytes that live while the chain runs as a stream; `IMPOSSIBLE` where it cannot be one."""
        if chain not in self._peaks:
            sketch = self.sketch(chain)
            self._peaks[chain] = self.live.peak_of(sketch, chain.first, chain.end) if sketch else IMPOSSIBLE
        return self._peaks[chain]

    def peak_of_all(self, chains: Sequence[Chain]) -> int:
        """What the arena with all these streams cannot be smaller than."""
        alone = set(range(len(self.layers))) - {place for each in chains for place in range(each.first, each.end)}
        return max([*map(self.peak, chains), *(self.live.peaks[place] for place in alone)])

    def arena(self, chains: Sequence[Chain]) -> int:
        """Bytes of the arena with these streams."""
        key = tuple(sorted(chains))
        if key not in self._arenas:
            self._arenas[key] = plan_memory(self.graph, self.apply(key)).arena_bytes
        return self._arenas[key]

    def fit(self, chains: Sequence[Chain], room: int) -> bool:
        """Whether the arena with these streams takes so many bytes at most."""
        if self.peak_of_all(chains) > room:
            return False
        key = tuple(sorted(chains))
        return self._arenas[key] <= room if key in self._arenas else fits_arena(self.graph, self.apply(key), room)

    # -- streams ------------------------------------------------------------------------------------------------------

    def sketch(self, chain: Chain) -> StreamedLayer | None:
        """The stream of a chain without its kernels' parameters, None where it cannot be one."""
        if chain not in self._sketches:
            layers = self.layers[chain.first : chain.end]
            self._sketches[chain] = sketch_stream(self.graph, layers, self._windows(chain), chain.rows)
        return self._sketches[chain]

    def build(self, chain: Chain) -> StreamedLayer | None:
        """The stream of a chain, None where it cannot be one."""
        if chain not in self._built:
            sketch = self.sketch(chain)
            self._built[chain] = build_stream(sketch, self._windows(chain), self._lower) if sketch else None
            if self._built[chain] is None:
                self._peaks[chain] = IMPOSSIBLE
        return self._built[chain]

    def _windows(self, chain: Chain) -> list[RowWindow]:
        return [window for window in self.windows[chain.first : chain.end] if window is not None]

    def _lower(self, layer: Layer, window: RowWindow, rows: Rows) -> Layer:
        key = (layer.op.index, rows)
        if key not in self._of_rows:
            self._of_rows[key] = lower_rows(self.graph, layer, window, rows, self.core, self.optimize)
        return self._of_rows[key]

    def apply(self, chains: Sequence[Chain]) -> tuple[Layer, ...]:
        """All layers, those of the chains as streams."""
        result: list[Layer] = []
        position = 0
        for chain in sorted(chains):
            stream = self.build(chain)
            assert stream is not None
            result += [*self.layers[position : chain.first], stream]
            position = chain.end
        return (*result, *self.layers[position:])

    # -- instructions -------------------------------------------------------------------------------------------------

    def effort(self, chains: Sequence[Chain]) -> int:
        """Instructions that streams cost more than their layers one by one, by estimate."""
        effort = 0
        for chain in chains:
            stream = self.build(chain)
            assert stream is not None
            effort += stream.estimate - sum(layer.estimate for layer in self.layers[chain.first : chain.end])
        return effort
