"""Where each buffer goes: the smallest arena that a bounded search finds, and proof where it is the smallest at all.

Buffers are placed one after the other, each at the lowest offset that its conflicts allow. For some order of buffers
this gives an optimal placement: take an optimal one, and place in the order of its offsets (outputs before inputs at
equal ones); each buffer then lands at or below its optimal offset. So the search is one over orders.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .buffers import Buffer

__all__ = ["ALIGNMENT", "Placement", "lower_bound", "place"]

ALIGNMENT = 4
"""Bytes. Kernels may load words from the start of a tensor."""

EXACT_NODES = 4_000
"""Partial placements that the exact search may look at before it gives up. Well under a second."""

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
        offsets: dict[int, int] = {}
        for buffer in order:
            offsets[buffer] = self.lowest_offset(buffer, offsets)
        top = max((offsets[buffer] + self.sizes[buffer] for buffer in order), default=0)
        return Placement(tuple(offsets[buffer] for buffer in range(len(offsets))), top)


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


def place(buffers: Sequence[Buffer], leads: Leads) -> Placement:
    """The smallest placement found: by simple orders, then by exact search, then by local search from each order.

    Deterministic: the same buffers give the same placement.
    """
    conflicts = _Conflicts(buffers, leads)
    bound = lower_bound(buffers, leads)
    orders = (*_simple_orders(buffers), _tensors_first(buffers, leads))
    best = min((conflicts.place(order) for order in orders), key=lambda placement: placement.bytes)
    if best.bytes == bound:
        return replace(best, optimal=True)
    exact = _ExactSearch(conflicts, best)
    if exact.run() or exact.best.bytes == bound:
        return replace(exact.best, optimal=True)
    best = exact.best
    for order in orders:
        best = _local_search(conflicts, order, best, bound)
        if best.bytes == bound:
            return replace(best, optimal=True)
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
    position = {index: at for at, index in enumerate(tensors)}
    tensor_leads = {(position[a], position[b]): lead for (a, b), lead in leads.items()}
    offsets = place([buffers[index] for index in tensors], tensor_leads).offsets
    return [*sorted(tensors, key=lambda index: offsets[position[index]]), *scratch]


class _ExactSearch:
    """Depth first over all orders of growing offset, cut where nothing better can follow."""

    def __init__(self, conflicts: _Conflicts, best: Placement) -> None:
        self.conflicts = conflicts
        self.best = best
        self.nodes = 0

    def run(self) -> bool:
        """Whether the whole tree was searched, so that `best` is optimal."""
        self._visit({}, 0, 0)
        return self.nodes <= EXACT_NODES

    def _visit(self, offsets: dict[int, int], lowest: int, top: int) -> None:
        self.nodes += 1
        sizes = self.conflicts.sizes
        if len(offsets) == len(sizes):
            self.best = Placement(tuple(offsets[place] for place in range(len(sizes))), top)
            return
        options = sorted(
            (self.conflicts.lowest_offset(place, offsets), place) for place in range(len(sizes)) if place not in offsets
        )
        if any(offset + sizes[place] >= self.best.bytes for offset, place in options):
            return
        for offset, place in options:
            if offset < lowest or max(top, offset + sizes[place]) >= self.best.bytes:
                continue
            if self.nodes > EXACT_NODES:
                return
            self._visit({**offsets, place: offset}, offset, max(top, offset + sizes[place]))


def _local_search(conflicts: _Conflicts, order: Sequence[int], best: Placement, bound: int) -> Placement:
    """Move one buffer to another place in the order, keep what is no worse. Seeded, so always the same."""
    chance = random.Random(0)
    current, current_bytes = list(order), conflicts.place(order).bytes
    for _ in range(SEARCH_STEPS):
        candidate = current.copy()
        candidate.insert(chance.randrange(len(order)), candidate.pop(chance.randrange(len(order))))
        placement = conflicts.place(candidate)
        if placement.bytes <= current_bytes:
            current, current_bytes = candidate, placement.bytes
        if placement.bytes < best.bytes:
            best = placement
        if best.bytes == bound:
            break
    return best
