"""The order of layers with the lowest peak of live bytes, for graphs whose branches leave a choice.

Exact by dynamic programming over the graph's ideals: sets of layers that may have run at some time. What lives behind
such a set does not depend on the order within it, so each needs only its best order. Where there are too many, a beam
keeps the best sets of each size. (The method: Ahn et al., "Ordering chaos: memory-aware scheduling of irregularly wired
neural networks for edge devices", MLSys 2020.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..graph import ABSENT, Graph
from ..ops import Layer
from .buffers import find_buffers
from .memory import plan_memory
from .placement import align

__all__ = ["EXACT_IDEALS", "LiveBytes", "lowest_peak_order", "order_layers"]

EXACT_IDEALS = 5_000
"""Sets of layers up to which the search is exact: well under a second."""

BEAM = 200
"""Sets of one size that are kept beyond."""


def order_layers(graph: Graph, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers in the order whose arena is smallest; in the file's, where no other was found to be better.

    Deterministic. The file's order must be possible.
    """
    layers = tuple(layers)
    problem = _Problem.of(graph, layers)
    order = lowest_peak_order(problem)
    if problem.peak(order) >= problem.peak(range(len(layers))):
        return layers
    # The peak bounds the arena from below only: what counts is where the buffers end up.
    reordered = tuple(layers[position] for position in order)
    better = plan_memory(graph, reordered).arena_bytes < plan_memory(graph, layers).arena_bytes
    return reordered if better else layers


class LiveBytes:
    """Bytes that live while layers run in the given order, inputs that the output may overlap counted as such.

    Attributes:
        between: Before each layer, and after the last one.
        peaks: While each layer runs.
    """

    def __init__(self, graph: Graph, layers: Sequence[Layer]) -> None:
        self._problem = _Problem.of(graph, tuple(layers))
        self.peaks, self.between = self._problem.walk(range(len(layers)))

    def peak_of(self, layer: Layer, first: int, end: int) -> int:
        """The peak of one layer in the place of those from position `first` on, before `end`.

        What else lives meanwhile does not depend on what other layers are replaced likewise.
        """
        step = _step(layer, frozenset(self._problem.bytes))
        return self._problem.run(step, (1 << end) - 1, self.between[first])[0]


@dataclass
class _Step:
    """A layer: what it needs, as positions of tensors."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scratch: int
    leads: dict[int, int]
    """Inputs that the output may overlap if they are needed no more → lead."""
    after: int = 0
    """Layers that must have run before, as bits."""


@dataclass
class _Problem:
    """Sizes of tensors, layers as steps, and which layers read a tensor, as bits. `kept` tensors live to the end."""

    steps: list[_Step]
    bytes: dict[int, int]
    readers: dict[int, int] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()
    first: frozenset[int] = frozenset()
    """Tensors that live before the first layer."""

    @classmethod
    def of(cls, graph: Graph, layers: tuple[Layer, ...]) -> _Problem:
        buffers = find_buffers(graph, layers)
        tensors = {buffer.tensor: align(buffer.bytes) for buffer in buffers if buffer.tensor is not None}
        problem = cls(
            steps=[_step(layer, frozenset(tensors)) for layer in layers],
            bytes=tensors,
            kept=frozenset((*graph.outputs, *graph.variables)) & tensors.keys(),
            first=frozenset((*graph.inputs, *graph.variables)) & tensors.keys(),
        )
        problem._connect(frozenset(graph.variables))
        return problem

    def _connect(self, variables: frozenset[int]) -> None:
        """A layer comes after those that write what it reads. Layers that share a variable keep their order."""
        writer: dict[int, int] = {}
        for position, step in enumerate(self.steps):
            touched = {index for index in (*step.inputs, *step.outputs) if index in variables}
            for index in step.inputs:
                self.readers[index] = self.readers.get(index, 0) | 1 << position
                if index in writer:
                    step.after |= 1 << writer[index]
            for index in {*step.outputs, *touched}:
                if index in touched and index in writer:
                    step.after |= 1 << writer[index]
                writer[index] = position

    def needed(self, tensor: int, done: int) -> bool:
        """Whether a tensor is needed once the layers `done` have run."""
        return tensor in self.kept or bool(self.readers.get(tensor, 0) & ~done)

    def run(self, step: _Step, after: int, live: int) -> tuple[int, int]:
        """Bytes that live while a step is taken, and after it, when layers `after` have run. `live`: before."""
        made = sum(self.bytes[index] for index in step.outputs if index not in self.first)
        dying = [index for index in step.inputs if not self.needed(index, after)]
        over = [index for index in dying if index in step.leads]
        saved = 0
        if over and len(step.outputs) == 1 and made:
            inputs = sum(self.bytes[index] for index in over)
            lead = min(align(step.leads[index]) for index in over)
            saved = max(0, made + inputs - max(made, lead + inputs))
        unread = sum(self.bytes[index] for index in step.outputs if not self.needed(index, after))
        return live + made + step.scratch - saved, live + made - unread - sum(self.bytes[index] for index in dying)

    @property
    def live_at_start(self) -> int:
        """Bytes before the first layer."""
        return sum(self.bytes[index] for index in self.first if self.needed(index, 0))

    def walk(self, order: Sequence[int]) -> tuple[list[int], list[int]]:
        """Bytes that live while each layer runs, in this order; and before the first, between two, after the last."""
        done, peaks, between = 0, [], [self.live_at_start]
        for position in order:
            done |= 1 << position
            peak, live = self.run(self.steps[position], done, between[-1])
            peaks.append(peak)
            between.append(live)
        return peaks, between

    def peak(self, order: Sequence[int]) -> int:
        """The most bytes that live at a time, in this order."""
        return max(self.walk(order)[0], default=0)

    def ready(self, done: int) -> Iterator[int]:
        """Layers that may run next, in the file's order."""
        for position, step in enumerate(self.steps):
            if not done >> position & 1 and step.after & ~done == 0:
                yield position


def _step(layer: Layer, tensors: frozenset[int]) -> _Step:
    inputs = tuple(dict.fromkeys(index for index in layer.op.inputs if index != ABSENT and index in tensors))
    leads = {}
    for index in inputs:
        ways = [layer.lead_of(place) for place, used in enumerate(layer.op.inputs) if used == index]
        allowed = [lead for lead in ways if lead is not None]
        if len(allowed) == len(ways):
            leads[index] = max(allowed)
    return _Step(inputs, tuple(layer.op.outputs), align(layer.scratch_bytes), leads)


@dataclass(frozen=True)
class _Best:
    """The best order of a set of layers: its peak, and the layer that runs last."""

    peak: int
    live: int
    last: int
    before: int


def lowest_peak_order(problem: _Problem) -> list[int]:
    """The order with the lowest peak: of all, as long as there are at most `EXACT_IDEALS` sets to look at."""
    levels: list[dict[int, _Best]] = [{0: _Best(0, problem.live_at_start, -1, 0)}]
    seen = 1
    for _ in problem.steps:
        level: dict[int, _Best] = {}
        for done, best in levels[-1].items():
            for position in problem.ready(done):
                after = done | 1 << position
                peak, live = problem.run(problem.steps[position], after, best.live)
                peak = max(peak, best.peak)
                # Of equals the first stays: the one nearest to the file's order.
                if after not in level or peak < level[after].peak:
                    level[after] = _Best(peak, live, position, done)
        seen += len(level)
        if seen > EXACT_IDEALS and len(level) > BEAM:
            kept = sorted(level, key=lambda done: (level[done].peak, level[done].live))[:BEAM]
            level = {done: level[done] for done in kept}
        levels.append(level)
    order: list[int] = []
    done = (1 << len(problem.steps)) - 1
    for level in reversed(levels[1:]):
        order.append(level[done].last)
        done = level[done].before
    return order[::-1]
