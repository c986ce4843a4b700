"""What a core's timing answers: the cycles of a block of instructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ..instructions import Instruction

__all__ = ["NOTHING", "ONE", "BlockCycles", "Cycles", "Timing"]

Cycles = tuple[float, float]
"""The least and the most."""

NOTHING: Cycles = (0, 0)
ONE: Cycles = (1, 1)


@dataclass(frozen=True)
class BlockCycles:
    """Cycles of a block, which is entered at its first instruction and left after its last.

    Attributes:
        entered: Of each instruction, when the block is entered from elsewhere. A last branch is not taken.
        repeated: The same when the block's own branch has led back to it.
        taken: What the last instruction takes more when it goes elsewhere.
        missed: What it takes more when it goes the way that it goes more rarely: a predictor may expect the other.
    """

    entered: tuple[Cycles, ...]
    repeated: tuple[Cycles, ...]
    taken: Cycles = NOTHING
    missed: Cycles = NOTHING


@dataclass(frozen=True)
class Timing(ABC):
    """One core's timing, memory without wait states.

    Attributes:
        sources: Documents of its numbers.
        assumption: What it takes for granted.
        expected_error: What is known of how far an estimate is from silicon.
    """

    sources: tuple[str, ...]
    assumption: str
    expected_error: str

    @abstractmethod
    def cycles(self, block: Sequence[Instruction]) -> BlockCycles:
        """Of a block of at least one instruction."""
