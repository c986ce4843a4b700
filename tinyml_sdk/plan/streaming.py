"""Which layers run row by row: the chains of layers that make the arena smaller if each is one stream.

A layer that runs alone writes its whole output before the next one starts; as part of a stream (`streams.py`), a few
rows. What lives while a layer or a stream runs does not depend on what else is a stream. So the chains with the lowest
peak are found exactly: a path through the order of layers, in steps of a layer or of a chain, whose dearest step is
cheapest; of these the one with the fewest layers in streams.

Then streams take as many rows at a time as the arena has room for, which costs fewer instructions, and those without
which it is as small go back to single layers. Where they cost too much nevertheless, they get more room.

(What takes less memory too is to compute an image in patches, as MCUNetV2 does: Lin et al., 2021, arXiv:2110.15352.
Patches overlap, and what lies in two of them is computed twice; rows do not.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..boards.cores import Core
from ..graph import Graph
from ..ops import Layer, Optimize
from ..progress import Progress, unseen
from .chains import Chain, Chains

__all__ = ["Streaming", "stream_layers"]

LENGTHS = (2, 3, 4, 6, 8, 12, 16)
"""Layers of the longest stream: what is tried. Long streams take more steps at the image's edges, and more tables."""

LONGER_GAIN = 0.05
"""Share of the arena that longer streams must save."""

ROWS_AT_ONCE = (1, 2, 4, 8, 16)
"""What is tried."""

LEAST_GAIN, LEAST_BYTES = 0.01, 256
"""Share of the arena, and bytes, that a stream must save: it costs half a KB of code or more, and instructions."""

MOST_EFFORT: dict[Optimize, float] = {"speed": 0.03, "size": 0.1}
"""Share of an inference's estimated instructions that all streams together may add."""


@dataclass(frozen=True, eq=False)
class Streaming:
    """Layers of which some may be streams. `arena_before`: bytes without any, None where there are none."""

    layers: tuple[Layer, ...]
    arena_before: int | None = None


def stream_layers(
    graph: Graph,
    layers: Sequence[Layer],
    core: Core | None = None,
    optimize: Optimize = "speed",
    progress: Progress | None = None,
) -> Streaming:
    """The layers with chains of them as streams, where that takes less memory. Deterministic.

    Args:
        graph: What the layers were lowered from.
        layers: In the order in which they run.
        core, optimize: What for.
        progress: Told of the search, which takes seconds for a hundred layers.
    """
    chains = Chains(graph, layers, core, optimize)
    if sum(window is not None for window in chains.windows) < min(LENGTHS):
        return Streaming(tuple(layers))
    found = _Search(chains, optimize).run(progress or unseen)
    return Streaming(chains.apply(found), chains.arena([])) if found else Streaming(tuple(layers))


class _Search:
    def __init__(self, chains: Chains, optimize: Optimize) -> None:
        self.chains = chains
        self.most_effort = MOST_EFFORT[optimize] * sum(layer.estimate for layer in chains.layers)

    def run(self, progress: Progress) -> tuple[Chain, ...]:
        """The chains with the smallest arena that streams of any length lead to, or nearly, if these are shorter."""
        tried: dict[tuple[Chain, ...], tuple[Chain, ...]] = {(): ()}
        for step, longest in enumerate(LENGTHS):
            progress("planning memory", step, len(LENGTHS))
            lowest = self.lowest(longest)
            if lowest not in tried:
                tried[lowest] = self.affordable(self.roomier(lowest))
        arenas = {chains: self.chains.arena(chains) for chains in tried.values()}
        least = min(arenas.values())
        if least > _clearly_below(arenas.pop(())):
            return ()
        return next(chains for chains, arena in arenas.items() if arena <= (1 + LONGER_GAIN) * least)

    # -- the lowest peak ----------------------------------------------------------------------------------------------

    def lowest(self, longest: int) -> tuple[Chain, ...]:
        """Chains of so many layers at most, a row at a time, with the lowest peak; none where none is clearly lower.

        A path is found by what its chains cost at the least. When these are known, it is found again, until there was
        nothing new to know of it.
        """
        highest = max(self.chains.live.peaks)
        while True:
            path = self._path(longest)
            unknown = [chain for chain in path if not self._is_known(chain)]
            if not unknown:
                return path if self.chains.peak_of_all(path) <= _clearly_below(highest) else ()
            if self._least(path) > _clearly_below(highest):
                return ()

    def _is_known(self, chain: Chain) -> bool:
        """Whether nothing new is to be learnt of it: its bound was its peak, and its stream can be built."""
        least = self.chains.least_peak(chain)
        return self.chains.peak(chain) == least and self.chains.build(chain) is not None

    def _least(self, path: Sequence[Chain]) -> int:
        """What the peak of a path is at the least, by what is known."""
        alone = set(range(len(self.chains.layers))) - {place for each in path for place in range(each.first, each.end)}
        peaks = [self.chains.live.peaks[place] for place in alone]
        return max([*peaks, *map(self.chains.least_peak, path)])

    def _path(self, longest: int) -> tuple[Chain, ...]:
        """Chains, by what they cost at the least: with the lowest peak, of these the fewest layers and streams."""
        count = len(self.chains.layers)
        steps = [
            [(None, place, self.chains.live.peaks[place]), *self._steps_to(place + 1, longest)]
            for place in range(count)
        ]
        lowest = [0]
        for step in steps:
            lowest.append(min(max(lowest[first], peak) for _, first, peak in step))
        best: list[tuple[int, int, tuple[Chain, ...]] | None] = [(0, 0, ())]
        for step in steps:
            ways = []
            for chain, first, peak in step:
                before = best[first]
                if peak <= lowest[-1] and before is not None:
                    length, streams, path = before
                    ways.append((length + chain.length, streams + 1, (*path, chain)) if chain else before)
            best.append(min(ways, default=None))
        assert best[-1] is not None
        return best[-1][2]

    def _steps_to(self, end: int, longest: int) -> list[tuple[Chain | None, int, int]]:
        return [(chain, chain.first, self.chains.least_peak(chain)) for chain in self.chains.ending_at(end, longest)]

    # -- rows at a time -----------------------------------------------------------------------------------------------

    def roomier(self, chains: tuple[Chain, ...]) -> tuple[Chain, ...]:
        """About the same arena with fewer streams, or with more rows at a time where that takes fewer instructions."""
        if not chains:
            return chains
        arena = self.chains.arena(chains)
        for chain in chains:
            others = _without(chains, chain)
            if self.chains.fit(others, _not_clearly_above(arena)):
                chains = others
                continue
            options = (_with(others, replace(chain, rows=rows)) for rows in ROWS_AT_ONCE[:0:-1])
            chains = next((option for option in options if self._is_better(option, chains, arena)), chains)
        return chains

    def affordable(self, chains: tuple[Chain, ...]) -> tuple[Chain, ...]:
        """With more rows at a time, though that takes memory, or less streams, until all cost little enough."""
        while chains and self.chains.effort(chains) > self.most_effort:
            dearest = max(chains, key=lambda chain: self.chains.effort([chain]))
            others = _without(chains, dearest)
            more = [_with(others, replace(dearest, rows=rows)) for rows in ROWS_AT_ONCE if rows > dearest.rows]
            room = _clearly_below(self.chains.peak_of_all(others))
            chains = next((option for option in more if self._is_better(option, chains, room)), others)
        return chains

    def _is_better(self, option: tuple[Chain, ...], chains: tuple[Chain, ...], room: int) -> bool:
        """Whether chains find room in so many bytes, and take fewer instructions than others."""
        if self.chains.peak_of_all(option) > room or not all(map(self.chains.build, option)):
            return False
        return self.chains.effort(option) < self.chains.effort(chains) and self.chains.fit(option, room)


def _without(chains: tuple[Chain, ...], chain: Chain) -> tuple[Chain, ...]:
    return tuple(other for other in chains if other != chain)


def _with(chains: tuple[Chain, ...], chain: Chain) -> tuple[Chain, ...]:
    return tuple(sorted((*chains, chain)))


def _clearly_below(arena: int) -> int:
    """Bytes that are worth a stream."""
    return min(int((1 - LEAST_GAIN) * arena), arena - LEAST_BYTES)


def _not_clearly_above(arena: int) -> int:
    """The most bytes of which so many are not worth a stream."""
    return max(int((arena - 1) / (1 - LEAST_GAIN)), arena + LEAST_BYTES - 1)
