"""Cycles of the instructions of each core, from Arm's technical reference manuals. Memory without wait states.

Only cores whose manual has a table of cycles are here. Arm publishes none for Cortex-M7, which issues two instructions
at a time, M33 and M55, and none exists for the RISC-V and Xtensa cores of ESP32: for these nothing is estimated.

Where a manual gives a range, or what happens depends on what blocks do not show (the alignment of a branch's target,
the values that are divided), both ends are carried along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .instructions import Instruction

__all__ = ["CORE_TIMINGS", "CoreTiming", "Cycles"]

Cycles = tuple[float, float]
"""The least and the most."""

ONE: Cycles = (1, 1)


@dataclass(frozen=True)
class CoreTiming:
    """One core's table.

    Attributes:
        sources: Document and section of the numbers.
        assumption: What the table takes for granted.
        expected_error: What is known of how far an estimate is from silicon.
        named: By the beginning of the mnemonic what differs from one cycle; the longest that fits holds.
        load, store: A single one on its own.
        indexed_store: A single one whose address is the sum of two registers.
        pipelined: Whether a load or store that follows a load takes one cycle less, unless that loads its address.
        address_stall: Cycles that a load or store waits for an address which the instruction before it computes.
        refill: What a branch that is taken costs more than one that is not.
        call_refill, return_refill: The same of BL, and of POP or LDM into the program counter.
    """

    sources: tuple[str, ...]
    assumption: str
    expected_error: str
    load: Cycles
    store: Cycles
    indexed_store: Cycles
    refill: Cycles
    call_refill: Cycles
    return_refill: Cycles
    pipelined: bool = False
    address_stall: Cycles = (0, 0)
    named: Mapping[str, Cycles] = field(default_factory=dict)

    def cycles(self, instruction: Instruction, before: Instruction | None) -> Cycles:
        """What an instruction takes after the one before it in its block, a branch when it is not taken."""
        if instruction.kind == "load/store several":
            return (1 + instruction.registers,) * 2
        if instruction.kind in ("load", "store"):
            return self._access(instruction, before)
        fitting = [name for name in self.named if instruction.name.startswith(name)]
        return self.named[max(fitting, key=len)] if fitting else ONE

    def jump(self, instruction: Instruction) -> Cycles:
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


_NOT_COMPARED = "not compared with silicon"
_MULTIPLIER = "the single-cycle multiplier, as nearly all chips have it"

CORE_TIMINGS: dict[str, CoreTiming] = {
    "cortex-m0": CoreTiming(
        sources=("Arm DDI 0432C, Cortex-M0 TRM, table 3-1",),
        assumption=_MULTIPLIER,
        expected_error=_NOT_COMPARED,
        load=(2, 2),
        store=(2, 2),
        indexed_store=(2, 2),
        refill=(2, 2),
        call_refill=(3, 3),
        return_refill=(3, 3),
        named={"mrs": (4, 4), "msr": (4, 4), "dsb": (4, 4), "dmb": (4, 4), "isb": (4, 4)},
    ),
    "cortex-m0plus": CoreTiming(
        sources=("Arm DDI 0484C, Cortex-M0+ TRM, table 3-1",),
        assumption=_MULTIPLIER,
        expected_error=_NOT_COMPARED,
        load=(2, 2),
        store=(2, 2),
        indexed_store=(2, 2),
        refill=(1, 1),
        call_refill=(2, 2),
        return_refill=(2, 2),
        named={"mrs": (3, 3), "msr": (3, 3), "dsb": (3, 3), "dmb": (3, 3), "isb": (3, 3)},
    ),
    "cortex-m3": CoreTiming(
        sources=("Arm DDI 0337I, Cortex-M3 TRM, table 3-1 and section 3.3.3, Load/store timings",),
        assumption="a pipeline refill of 1 to 3 cycles, for which the middle is taken",
        expected_error=_NOT_COMPARED,
        load=(2, 2),
        store=(1, 1),
        indexed_store=(2, 2),
        refill=(1, 3),
        call_refill=(1, 3),
        return_refill=(1, 3),
        pipelined=True,
        address_stall=(1, 1),
        named={
            "it": (0, 1),
            "mla": (2, 2),
            "mls": (2, 2),
            "smull": (3, 5),
            "umull": (3, 5),
            "smlal": (4, 7),
            "umlal": (4, 7),
            "sdiv": (2, 12),
            "udiv": (2, 12),
            "tbb": (3, 3),
            "tbh": (3, 3),
            "mrs": (1, 2),
            "msr": (1, 2),
        },
    ),
    "cortex-m4": CoreTiming(
        sources=("Arm DDI 0439D, Cortex-M4 TRM, table 3-1, section 3.3.3, Load/store timings, and table 7-1, FPU",),
        assumption="a pipeline refill of 1 to 3 cycles, for which the middle is taken",
        expected_error="silicon with wait states took 1.23 to 1.35 times as long (STM32L4R5 at 120 MHz, CMSIS-NN)",
        load=(2, 2),
        store=(1, 1),
        indexed_store=(2, 2),
        refill=(1, 3),
        call_refill=(1, 3),
        return_refill=(1, 3),
        pipelined=True,
        address_stall=(1, 1),
        named={
            "it": (0, 1),
            "sdiv": (2, 12),
            "udiv": (2, 12),
            "tbb": (3, 3),
            "tbh": (3, 3),
            "mrs": (1, 2),
            "msr": (1, 2),
            "vldr": (2, 2),
            "vstr": (2, 2),
            "vmla": (3, 3),
            "vmls": (3, 3),
            "vfma": (3, 3),
            "vfms": (3, 3),
            "vdiv": (14, 14),
            "vsqrt": (14, 14),
        },
    ),
}
"""By core. Others have no published table."""
