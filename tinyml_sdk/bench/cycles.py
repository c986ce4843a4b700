"""An estimate of the cycles that code takes on the chip: what was executed, times what the core's manual says of it.

An estimate, not a measurement: flash, caches and buses are taken to be as fast as the core. See docs/performance.md for
how far it may be off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..errors import MissingToolError
from ..targets.blocks import ExecutedBlock
from .core_timing import CORE_TIMINGS
from .instructions import KINDS, decode

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
    """What an inference takes on the core, by its manual.

    Attributes:
        core: Whose table it is.
        total: The middle between `low` and `high`, between which the manual leaves it open.
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
        None where there is nothing to go by: no published table for the core, no blocks, no disassembler.
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
    """Add up blocks, with the table of a core that has one. Raises MissingToolError where there is no disassembler."""
    total = CycleCount(dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0.0), dict.fromkeys(KINDS, 0.0))
    for block in blocks:
        for part in _block(core, block.code, block.address):
            total.instructions[part.kind] += block.entered * part.instructions
            total.low[part.kind] += block.entered * part.low + block.left * part.jump_low
            total.high[part.kind] += block.entered * part.high + block.left * part.jump_high
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


@dataclass
class _Part:
    """The instructions of one kind in a block: how many, their cycles, and what they take more when it is left."""

    kind: str
    instructions: int = 0
    low: float = 0.0
    high: float = 0.0
    jump_low: float = 0.0
    jump_high: float = 0.0


@lru_cache(maxsize=1 << 14)
def _block(core: str, code: bytes, address: int) -> tuple[_Part, ...]:
    timing = CORE_TIMINGS[core]
    found: dict[str, _Part] = {}
    before = None
    for instruction in decode(code, address):
        part = found.setdefault(instruction.kind, _Part(instruction.kind))
        low, high = timing.cycles(instruction, before)
        part.instructions += 1
        part.low += low
        part.high += high
        before = instruction
    if before is not None and before.jumps:
        last = found[before.kind]
        last.jump_low, last.jump_high = timing.jump(before)
    return tuple(found.values())
