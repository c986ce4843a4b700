"""An estimate of the cycles that code takes on the chip: what was executed, times what is published of the core.

An estimate, not a measurement: flash, caches and buses are taken to be as fast as the core. See docs/performance.md for
how far it may be off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..errors import MissingToolError
from ..targets.blocks import ExecutedBlock
from .instructions import KINDS, decode
from .timing import CORE_TIMINGS, Cycles

__all__ = ["CycleCount", "EstimatedClass", "EstimatedCycles", "count_classes", "count_cycles", "estimate_cycles"]

Blocks = Sequence[ExecutedBlock]

MEMORY = "memory without wait states"


@dataclass(frozen=True)
class EstimatedClass:
    """One class of instructions in an inference: how many are executed, and the cycles they take."""

    name: str
    instructions: int
    cycles: int


@dataclass(frozen=True)
class EstimatedCycles:
    """What an inference takes on the core, by what is known of it.

    Attributes:
        core: Whose timing it is.
        total: The middle between `low` and `high`, between which the sources leave it open.
        milliseconds: Of `total`, at the board's clock.
        layers: The cycles of each layer.
        classes: By class of instruction; their cycles add up to `total`.
        assumptions: What is taken for granted; above all memory without wait states.
        expected_error: What is known of how far it is from silicon.
        sources: Documents of the numbers.
    """

    core: str
    total: int
    low: int
    high: int
    milliseconds: float
    layers: tuple[int, ...]
    classes: tuple[EstimatedClass, ...]
    assumptions: tuple[str, ...]
    expected_error: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class CycleCount:
    """Of some executed code: by class of instruction how many there are, and the least and most cycles they take."""

    instructions: dict[str, int]
    low: dict[str, float]
    high: dict[str, float]

    @property
    def total_instructions(self) -> int:
        """Over all classes."""
        return sum(self.instructions.values())

    @property
    def middle(self) -> float:
        """Cycles over all classes, in the middle of what is possible."""
        return (sum(self.low.values()) + sum(self.high.values())) / 2


def estimate_cycles(
    core: str, clock_hz: int, count: int, inference: Blocks, layers: Sequence[Blocks], layer_counts: Sequence[int]
) -> EstimatedCycles | None:
    """The estimate for an inference.

    Args:
        core: As a board file names it.
        count: The instructions of the inference. The blocks have a few more, as they include reading the counter;
            the cycles are those of so many.
        inference: What was executed in it; nothing where the target cannot tell.
        layers, layer_counts: The same for each layer.

    Returns:
        None where there is nothing to go by: no published timing of the core, no blocks, no disassembler.
    """
    if core not in CORE_TIMINGS or not inference:
        return None
    timing = CORE_TIMINGS[core]
    try:
        whole = count_cycles(core, inference)
        parts = [count_cycles(core, blocks) for blocks in layers]
    except MissingToolError:
        return None
    scale = _share(count, whole)
    return EstimatedCycles(
        core=core,
        total=round(whole.middle * scale),
        low=round(sum(whole.low.values()) * scale),
        high=round(sum(whole.high.values()) * scale),
        milliseconds=whole.middle * scale * 1e3 / clock_hz,
        layers=tuple(
            round(part.middle * _share(of_layer, part)) for part, of_layer in zip(parts, layer_counts, strict=True)
        ),
        classes=tuple(
            EstimatedClass(
                kind, round(whole.instructions[kind] * scale), round((whole.low[kind] + whole.high[kind]) / 2 * scale)
            )
            for kind in KINDS
            if whole.instructions[kind]
        ),
        assumptions=(MEMORY, timing.assumption),
        expected_error=timing.expected_error,
        sources=timing.sources,
    )


def count_cycles(core: str, blocks: Blocks) -> CycleCount:
    """Add up blocks, with the timing of a core that has one. Raises MissingToolError where there is no disassembler."""
    total = CycleCount(dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, 0.0))
    for block in blocks:
        parts, repeats = _block(core, block.code, block.address)
        repeated = block.left if repeats else 0
        rarer = min(block.left, block.entered - block.left)
        for part in parts:
            total.instructions[part.kind] += block.entered * part.instructions
            for sums, end in ((total.low, 0), (total.high, 1)):
                sums[part.kind] += (
                    (block.entered - repeated) * part.entered[end]
                    + repeated * part.repeated[end]
                    + block.left * part.taken[end]
                    + rarer * part.missed[end]
                )
    return total


def count_classes(blocks: Blocks) -> dict[str, int]:
    """Instructions by class, for any Cortex-M. Raises MissingToolError where there is no disassembler."""
    total = dict.fromkeys(KINDS, 0)
    for block in blocks:
        for instruction in decode(block.code, block.address):
            total[instruction.kind] += block.entered
    return total


def _share(count: int, counted: CycleCount) -> float:
    return count / counted.total_instructions if counted.total_instructions else 0.0


@dataclass(frozen=True)
class _Part:
    """The instructions of one kind in a block: how many, and their cycles as in BlockCycles."""

    kind: str
    instructions: int
    entered: Cycles
    repeated: Cycles
    taken: Cycles
    missed: Cycles


@lru_cache(maxsize=1 << 14)
def _block(core: str, code: bytes, address: int) -> tuple[tuple[_Part, ...], bool]:
    """Of a block, and whether its branch leads back to it."""
    instructions = tuple(decode(code, address))
    if not instructions:
        return (), False
    timing, last = CORE_TIMINGS[core].cycles(instructions), instructions[-1]
    kinds = [instruction.kind for instruction in instructions]

    def total(each: Sequence[Cycles], kind: str) -> Cycles:
        chosen = [cycles for cycles, of_kind in zip(each, kinds, strict=True) if of_kind == kind]
        return sum(low for low, _ in chosen), sum(high for _, high in chosen)

    parts = tuple(
        _Part(
            kind,
            kinds.count(kind),
            total(timing.entered, kind),
            total(timing.repeated, kind),
            timing.taken if kind == last.kind else (0, 0),
            timing.missed if kind == last.kind else (0, 0),
        )
        for kind in dict.fromkeys(kinds)
    )
    return parts, last.target == address
