"""When the instructions of a block are issued, on a core that keeps their order but overlaps them or pairs them up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..instructions import Instruction
from .base import NOTHING, BlockCycles, Cycles, Timing

__all__ = ["PipelineTiming"]

LOW, HIGH = 0, 1


@dataclass(frozen=True)
class PipelineTiming(Timing):
    """The rules of one core. Each answer is for the best case and for the worst, as sources or code leave some open."""

    @abstractmethod
    def latency(self, producer: Instruction, consumer: Instruction, register: str) -> Cycles:
        """Cycles from the issue of what writes a register until what reads it may be issued."""

    @abstractmethod
    def pairs(self, older: Instruction, younger: Instruction) -> tuple[bool, bool]:
        """Whether two instructions in a row are issued in one cycle, where the younger has to wait for nothing."""

    @abstractmethod
    def busy(self, instruction: Instruction) -> Cycles:
        """Cycles until the next instruction that is not paired with it may be issued."""

    @abstractmethod
    def taken(self, block: Sequence[Instruction]) -> Cycles:
        """What the last instruction of a block takes more when it goes elsewhere, as the core expects it to."""

    @abstractmethod
    def missed(self, branch: Instruction) -> Cycles:
        """What a branch takes more when the core does not expect where it goes."""

    def cycles(self, block: Sequence[Instruction]) -> BlockCycles:
        """Of a block of at least one instruction."""
        taken = self.taken(block) if block[-1].jumps else NOTHING
        low, high = (self._twice(block, taken[end], end) for end in (LOW, HIGH))
        both = tuple(zip(low, high, strict=True))
        return BlockCycles(
            entered=both[: len(block)],
            repeated=both[len(block) :],
            taken=taken,
            missed=self.missed(block[-1]) if block[-1].jumps else NOTHING,
        )

    def _twice(self, block: Sequence[Instruction], taken: float, end: int) -> list[float]:
        """Cycles of each instruction of a block that is executed twice, results of the first being on the way."""
        issue = _Issue(self, end)
        first = list(issue.run(block))
        issue.wait(taken)
        return [*first, *issue.run(block)]


class _Issue:
    """The issue stage, in the best case or the worst."""

    def __init__(self, core: PipelineTiming, end: int) -> None:
        self._core = core
        self._end = end
        self._written: dict[str, tuple[Instruction, float]] = {}
        self._issued = 0.0
        self._free = 0.0
        self._older: Instruction | None = None

    def wait(self, cycles: float) -> None:
        """Let time pass, in which nothing is issued."""
        self._free += cycles
        if cycles:
            self._older = None

    def run(self, instructions: Iterable[Instruction]) -> Iterator[float]:
        """Issue them in order. What each adds to the time until the next can be issued: nothing, if it is paired."""
        core, end = self._core, self._end
        for instruction in instructions:
            ready = max((self._ready(instruction, register) for register in instruction.reads), default=0.0)
            older, before = self._older, self._free
            if older is not None and ready <= self._issued and core.pairs(older, instruction)[end]:
                self._older = None
            else:
                self._issued = max(self._free, ready)
                self._free = self._issued + core.busy(instruction)[end]
                self._older = instruction
            for register in instruction.writes:
                self._written[register] = (instruction, self._free - 1)
            yield self._free - before

    def _ready(self, consumer: Instruction, register: str) -> float:
        if register not in self._written:
            return 0.0
        producer, last = self._written[register]
        return last + self._core.latency(producer, consumer, register)[self._end]
