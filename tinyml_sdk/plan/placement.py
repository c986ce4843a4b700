"""Where each buffer goes: the smallest arena that a bounded search finds, and proof where it is the smallest at all.

Buffers are placed one after the other, each at the lowest offset that its conflicts allow. For some order of buffers
this gives an optimal placement: take an optimal one, and place in the order of its offsets (outputs before inputs at
equal ones); each buffer then lands at or below its optimal offset. So the search is one over orders.

Most buffers are not worth searching for: they are small beside those of the arena's peak, and find room wherever these
are. They are set aside, and placed last.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .buffers import Buffer

__all__ = ["ALIGNMENT", "Placement", "lower_bound", "place"]

ALIGNMENT = 4
"""Bytes. Kernels may load words from the start of a tensor."""

EXACT_NODES = (200, 4_000)
"""Partial placements that the exact search may look at before it gives up: at first, and once local search has found
less to beat. Well under a second."""

SEARCH_STEPS = 400
"""Orders that the local search then tries from each simple order."""


@dataclass(frozen=True)
class Placement:
    """An offset for each buffer, in their order; the bytes that they span together; whether less is impossible."""

    offsets: tuple[int, ...]
    bytes: int
    optimal: bool = False


Leads = Mapping[tuple[int, int], int]
"""(position of an input, position of an output) → lead; see `buffers.find_leads`."""


def align(offset: int) -> int:
    """The next offset at which a buffer may start."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


class _Conflicts:
    """For each pair of buffers that meet: how far one must stay away from the other.

    `below[a][b]` is how far `a` must start before `b` to count as below it, `above[a][b]` how far behind b's start to
    count as above it. For disjoint buffers these are their sizes; for an input that may overlap the output it is the
    lead, as the output may run into the input from below.
    """

    def __init__(self, buffers: Sequence[Buffer], leads: Leads) -> None:
        self.sizes = [align(buffer.bytes) for buffer in buffers]
        self.near: list[list[tuple[int, int, int]]] = [[] for _ in buffers]
        for a, first in enumerate(buffers):
            for b, second in enumerate(buffers):
                if a != b and first.meets(second):
                    below, above = self.sizes[a], self.sizes[b]
                    if (b, a) in leads:  # a is written while b is read: it may start just `lead` below
                        below = min(below, align(leads[b, a]))
                    if (a, b) in leads:
                        above = min(above, align(leads[a, b]))
                    self.near[a].append((b, below, above))

    def lowest_offset(self, buffer: int, offsets: Mapping[int, int]) -> int:
        """The lowest offset of `buffer` that respects those already placed."""
        forbidden = sorted(
            (offsets[other] - below, offsets[other] + above)
            for other, below, above in self.near[buffer]
            if other in offsets
        )
        offset = 0
        for start, end in forbidden:
            if start < offset < end:
                offset = end
        return offset

    def place(self, order: Sequence[int]) -> Placement:
        """Place in the given order."""
        return self.completed({}, order)

    def completed(self, offsets: Mapping[int, int], order: Sequence[int]) -> Placement:
        """Place the others in the given order where some have their offsets already."""
        whole = dict(offsets)
        for buffer in order:
            whole[buffer] = self.lowest_offset(buffer, whole)
        return self.placement(whole)

    def within(self, order: Sequence[int], limit: int) -> dict[int, int] | None:
        """Offsets, placed in the given order; None as soon as one buffer ends above the limit."""
        offsets: dict[int, int] = {}
        for buffer in order:
            offset = offsets[buffer] = self.lowest_offset(buffer, offsets)
            if offset + self.sizes[buffer] > limit:
                return None
        return offsets

    def placement(self, offsets: Mapping[int, int]) -> Placement:
        """Of an offset for each buffer."""
        top = max((offset + self.sizes[buffer] for buffer, offset in offsets.items()), default=0)
        return Placement(tuple(offsets[buffer] for buffer in range(len(offsets))), top)

    def undemanding(self, limit: int) -> list[int]:
        """Buffers that end at or below the limit wherever the others are, if they are placed last, in this order.

        What a buffer that is placed already forbids for another one's start is an open interval. Where all of them
        together are no longer than the range of starts that the limit allows, they leave one.
        """
        demand = [size + sum(below + above for _, below, above in self.near[place])
                  for place, size in enumerate(self.sizes)]  # fmt: skip
        found = [place for place, needed in enumerate(demand) if needed <= limit]
        aside = set(found)
        for place in found:  # which grows meanwhile
            for other, _, _ in self.near[place]:
                if other not in aside:
                    demand[other] -= next(below + above for near, below, above in self.near[other] if near == place)
                    if demand[other] <= limit:
                        found.append(other)
                        aside.add(other)
        return found[::-1]


def lower_bound(buffers: Sequence[Buffer], leads: Leads) -> int:
    """Bytes that no placement can go below: the largest demand of any moment.

    At each moment all live buffers are disjoint, but for an output over inputs that it may overlap: those together
    need at least the inputs' sum, the output, and, where there is one such input, its lead and itself.
    """
    sizes = [align(buffer.bytes) for buffer in buffers]
    bound = 0
    for moment in sorted({buffer.first for buffer in buffers}):
        live = [place for place, buffer in enumerate(buffers) if buffer.first <= moment <= buffer.last]
        over = {output: [a for a, b in leads if b == output and a in live] for output in live}
        demand = sum(sizes[place] for place in live)
        for output, inputs in over.items():
            if not inputs:
                continue
            apart = sizes[output] + sum(sizes[place] for place in inputs)
            lead = min(align(leads[place, output]) for place in inputs)
            together = max(sizes[output], lead + sum(sizes[place] for place in inputs))
            demand += min(apart, together) - apart
        bound = max(bound, demand)
    return bound


def place(buffers: Sequence[Buffer], leads: Leads, enough: int = 0) -> Placement:
    """The smallest placement found: by simple orders, a short exact search, local search from each order, a long
    exact search.

    Deterministic: the same buffers give the same placement.

    Args:
        buffers: What to place.
        leads: See `buffers.find_leads`.
        enough: Bytes of an arena that need not become smaller: the search ends where it reaches them.
    """
    conflicts = _Conflicts(buffers, leads)
    bound = lower_bound(buffers, leads)
    orders = _simple_orders(buffers)
    simple = min((conflicts.place(order) for order in orders), key=lambda placement: placement.bytes)
    if simple.bytes <= max(bound, enough):
        return replace(simple, optimal=simple.bytes == bound)
    last = conflicts.undemanding(bound)
    first = sorted(set(range(len(buffers))) - set(last))
    found = _search([buffers[place] for place in first], _among(first, leads), max(bound, enough))
    # Simple orders tend to let copies stay where they are; that of `undemanding` is sure to find room.
    ways = [*([place for place in order if place in set(last)] for order in orders), last]
    placements = (conflicts.completed(dict(zip(first, found.offsets, strict=True)), way) for way in ways)
    best = min(placements, key=lambda placement: (placement.bytes, sum(placement.offsets)))
    return replace(best, optimal=found.optimal or best.bytes == bound)


def _among(places: Sequence[int], leads: Leads) -> Leads:
    """The leads between some of the buffers, by their positions among these."""
    position = {place: at for at, place in enumerate(places)}
    return {(position[a], position[b]): lead for (a, b), lead in leads.items() if a in position and b in position}


def _search(buffers: Sequence[Buffer], leads: Leads, enough: int) -> Placement:
    """`place` without setting buffers aside; over as soon as so few bytes are reached."""
    conflicts = _Conflicts(buffers, leads)
    enough = max(enough, lower_bound(buffers, leads))
    orders = (*_simple_orders(buffers), _tensors_first(buffers, leads))
    best = min((conflicts.place(order) for order in orders), key=lambda placement: placement.bytes)
    quick, thorough = EXACT_NODES
    searches: list[Callable[[Placement], Placement]] = [
        lambda best: _ExactSearch(conflicts, best, enough, quick).run(),
        *(partial(_local_search, conflicts, order, enough) for order in orders),
        lambda best: _ExactSearch(conflicts, best, enough, thorough).run(),
    ]
    for search in searches:
        if best.optimal or best.bytes <= enough:
            break
        best = search(best)
    return best


def _simple_orders(buffers: Sequence[Buffer]) -> tuple[list[int], ...]:
    """Orders that often are good: from the last layer or the first, from the largest, from the longest lived."""

    def order_by(key: Callable[[Buffer], tuple[int, ...]]) -> list[int]:
        return sorted(range(len(buffers)), key=lambda place: key(buffers[place]))

    return (
        order_by(lambda buffer: (-buffer.first,)),
        order_by(lambda buffer: (buffer.first,)),
        order_by(lambda buffer: (-buffer.bytes, -buffer.first)),
        order_by(lambda buffer: (buffer.first - buffer.last, -buffer.bytes)),
    )


def _tensors_first(buffers: Sequence[Buffer], leads: Leads) -> list[int]:
    """The order of the best placement of the tensors alone, then the scratch memory of layers.

    Most scratch is small and finds a gap; in the search for the whole it would only be in the way.
    """
    tensors = [index for index, buffer in enumerate(buffers) if buffer.layer is None]
    scratch = [index for index, buffer in enumerate(buffers) if buffer.layer is not None]
    if not scratch:
        return tensors
    offsets = dict(
        zip(tensors, place([buffers[index] for index in tensors], _among(tensors, leads)).offsets, strict=True)
    )
    return [*sorted(tensors, key=lambda index: offsets[index]), *scratch]


class _ExactSearch:
    """Depth first over all orders of growing offset, cut where nothing better can follow, or where it is enough."""

    def __init__(self, conflicts: _Conflicts, best: Placement, enough: int, most_nodes: int) -> None:
        self.conflicts, self.best, self.enough, self.most_nodes = conflicts, best, enough, most_nodes
        self.nodes = 0

    @property
    def is_over(self) -> bool:
        """Whether to look no further."""
        return self.nodes > self.most_nodes or self.best.bytes <= self.enough

    def run(self) -> Placement:
        """The best placement; the smallest at all, if the whole tree was searched."""
        self._visit({}, dict.fromkeys(range(len(self.conflicts.sizes)), 0), 0, 0)
        return replace(self.best, optimal=not self.is_over)

    def _visit(self, offsets: dict[int, int], starts: dict[int, int], lowest: int, top: int) -> None:
        """Try what may come next. `starts`: the lowest offset of each buffer that is not placed."""
        self.nodes += 1
        sizes = self.conflicts.sizes
        if not starts:
            self.best = self.conflicts.placement(offsets)
            return
        if any(offset + sizes[place] >= self.best.bytes for place, offset in starts.items()):
            return
        for offset, place in sorted((offset, place) for place, offset in starts.items()):
            if offset < lowest or max(top, offset + sizes[place]) >= self.best.bytes:
                continue
            if self.is_over:
                return
            placed = {**offsets, place: offset}
            self._visit(placed, self._starts_behind(place, placed, starts), offset, max(top, offset + sizes[place]))

    def _starts_behind(self, place: int, offsets: dict[int, int], starts: dict[int, int]) -> dict[int, int]:
        """The lowest offsets of the others once a buffer is placed: new ones for those in whose way it is."""
        behind = {other: start for other, start in starts.items() if other != place}
        for other, below, above in self.conflicts.near[place]:
            # Seen from the other one, above and below change places.
            if other in behind and offsets[place] - above < behind[other] < offsets[place] + below:
                behind[other] = self.conflicts.lowest_offset(other, offsets)
        return behind


def _local_search(conflicts: _Conflicts, order: Sequence[int], enough: int, best: Placement) -> Placement:
    """Move one buffer to another place in the order, keep what is no worse. Seeded, so always the same."""
    chance = random.Random(0)
    current, current_bytes = list(order), conflicts.place(order).bytes
    for _ in range(SEARCH_STEPS):
        candidate = current.copy()
        candidate.insert(chance.randrange(len(order)), candidate.pop(chance.randrange(len(order))))
        offsets = conflicts.within(candidate, current_bytes)
        if offsets is None:
            continue
        placement = conflicts.placement(offsets)
        current, current_bytes = candidate, placement.bytes
        if placement.bytes < best.bytes:
            best = placement
        if best.bytes <= enough:
            break
    return best
