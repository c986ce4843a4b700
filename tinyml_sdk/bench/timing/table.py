"""Cores whose instructions take what Arm's technical reference manuals say, one after the other.

Where a manual gives a range, or what happens depends on what blocks do not show (the alignment of a branch's target,
the values that are divided), both ends are carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..instructions import Instruction
from .base import NOTHING, ONE, BlockCycles, Cycles, Timing

__all__ = ["CORTEX_M0", "CORTEX_M0PLUS", "CORTEX_M3", "CORTEX_M4", "TableTiming"]


@dataclass(frozen=True, kw_only=True)
class TableTiming(Timing):
    """One core's table.

    Attributes:
        load, store: A single one on its own.
        indexed_store: A single one whose address is the sum of two registers.
        pipelined: Whether a load or store that follows a load takes one cycle less, unless that loads its address.
        address_stall: Cycles that a load or store waits for an address which the instruction before it computes.
        refill: What a branch that is taken costs more than one that is not.
        call_refill, return_refill: The same of BL, and of POP or LDM into the program counter.
        named: By the beginning of the mnemonic what differs from one cycle; the longest that fits holds.
    """

    load: Cycles = (2, 2)
    store: Cycles
    indexed_store: Cycles = (2, 2)
    pipelined: bool = False
    address_stall: Cycles = NOTHING
    refill: Cycles
    call_refill: Cycles
    return_refill: Cycles
    named: Mapping[str, Cycles] = field(default_factory=dict)

    def cycles(self, block: Sequence[Instruction]) -> BlockCycles:
        """Of a block: the sum of its instructions, whatever came before it."""
        each = tuple(
            self._cycles(instruction, before) for instruction, before in zip(block, (None, *block), strict=False)
        )
        return BlockCycles(each, each, self._jump(block[-1]) if block[-1].jumps else NOTHING)

    def _cycles(self, instruction: Instruction, before: Instruction | None) -> Cycles:
        """What an instruction takes after the one before it in its block, a branch when it is not taken."""
        if instruction.kind == "load/store several":
            return (1 + instruction.registers,) * 2
        if instruction.kind in ("load", "store"):
            return self._access(instruction, before)
        fitting = [name for name in self.named if instruction.name.startswith(name)]
        return self.named[max(fitting, key=len)] if fitting else ONE

    def _jump(self, instruction: Instruction) -> Cycles:
        """What it takes more when it goes elsewhere."""
        if instruction.name in ("bl", "blx"):
            return self.call_refill
        return self.refill if instruction.kind == "branch" else self.return_refill

    def _access(self, instruction: Instruction, before: Instruction | None) -> Cycles:
        least, most = self._access_alone(instruction)
        if before is None:
            return least, most
        if before.writes & instruction.address:
            if before.kind == "load":
                return least, most
            return least + self.address_stall[0], most + self.address_stall[1]
        if self.pipelined and before.kind == "load" and not before.updates and not before.jumps:
            return max(1, least - 1), max(1, most - 1)
        return least, most

    def _access_alone(self, instruction: Instruction) -> Cycles:
        if instruction.kind == "store":
            return self.indexed_store if instruction.indexed else self.store
        least, most = self.load
        # A load of a literal may wait for the fetch of instructions, which comes from the same place.
        return (least, most + 1) if self.pipelined and "pc" in instruction.address else (least, most)


CORTEX_M0 = TableTiming(
    sources=("Arm DDI 0432C, Cortex-M0 TRM, table 3-1",),
    assumption="the single-cycle multiplier, as nearly all chips have it",
    expected_error="not compared with silicon",
    store=(2, 2),
    refill=(2, 2),
    call_refill=(3, 3),
    return_refill=(3, 3),
    named=dict.fromkeys(("mrs", "msr", "dsb", "dmb", "isb"), (4, 4)),
)

CORTEX_M0PLUS = replace(
    CORTEX_M0,
    sources=("Arm DDI 0484C, Cortex-M0+ TRM, table 3-1",),
    refill=(1, 1),
    call_refill=(2, 2),
    return_refill=(2, 2),
    named=dict.fromkeys(("mrs", "msr", "dsb", "dmb", "isb"), (3, 3)),
)

_ARMV7_M: dict[str, Cycles] = {
    "it": (0, 1),
    "sdiv": (2, 12),
    "udiv": (2, 12),
    "tbb": (3, 3),
    "tbh": (3, 3),
    "mrs": (1, 2),
    "msr": (1, 2),
}

CORTEX_M3 = TableTiming(
    sources=("Arm DDI 0337I, Cortex-M3 TRM, table 3-1 and section 3.3.3, Load/store timings",),
    assumption="a pipeline refill of 1 to 3 cycles, for which the middle is taken",
    expected_error="not compared with silicon",
    store=ONE,
    pipelined=True,
    address_stall=ONE,
    refill=(1, 3),
    call_refill=(1, 3),
    return_refill=(1, 3),
    named=_ARMV7_M | {"mla": (2, 2), "mls": (2, 2), "smull": (3, 5), "umull": (3, 5), "smlal": (4, 7), "umlal": (4, 7)},
)

CORTEX_M4 = replace(
    CORTEX_M3,
    sources=("Arm DDI 0439D, Cortex-M4 TRM, table 3-1, section 3.3.3, Load/store timings, and table 7-1, FPU",),
    expected_error="silicon took 1.23 to 1.35 times as long (STM32L4R5 at 120 MHz with wait states, CMSIS-NN)",
    named=_ARMV7_M
    | {"vldr": (2, 2), "vstr": (2, 2), "vmla": (3, 3), "vmls": (3, 3), "vfma": (3, 3), "vfms": (3, 3)}
    | {"vdiv": (14, 14), "vsqrt": (14, 14)},
)
