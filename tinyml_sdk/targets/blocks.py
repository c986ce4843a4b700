"""What code ran, block by block: what a target that executes instructions one by one can tell besides their number."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ExecutedBlock"]


@dataclass(frozen=True)
class ExecutedBlock:
    """A run of instructions that is entered at its first and goes through to its last.

    Attributes:
        address: Of its first instruction.
        code: Its machine code.
        entered: How often it was executed.
        left: How often its last instruction, a branch, was taken.
    """

    address: int
    code: bytes
    entered: int
    left: int
