"""Cortex-M7: six stages, two instructions at a time, in order. Arm publishes no cycles of its instructions.

The pipeline as LLVM describes it: two loads, a store, two ALUs with a shifter in front of them, a multiplier and a
branch can be under way at once. Addresses and what the shifter takes are read in stage EX1; ALUs work in EX2, from
which all latencies count; multiplies end in EX3, where what they add to and what is stored are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ..instructions import Instruction
from .base import NOTHING, ONE, Cycles
from .pipeline import PipelineTiming

__all__ = ["CORTEX_M7"]

LLVM = "LLVM, lib/Target/ARM: ARMScheduleM7.td and CortexM7Overrides in ARMLatencyMutations.cpp"
GCC = "GCC, config/arm/cortex-m7.md"
MEASURED = "jnk0le/random, pipeline cycle test/doc/cortex_m7.md, measured on an STM32H743"

RESULT = {  # cycles until an ALU may use it
    "alu": 1,  # LLVM WriteALU, WriteALUsi
    "extend": 1,  # LLVM M7WriteSIMD1
    "extend and add": 1,  # LLVM M7WriteShSIMD1
    "parallel": 1,  # LLVM M7WriteSIMD1
    "saturate": 2,  # LLVM M7WriteSIMD2, M7WriteShSIMD2
    "field": 1,  # LLVM M7WriteShSIMD1
    "insert": 1,  # LLVM WriteALUsi
    "pack": 1,  # LLVM M7WriteShSIMD1
    "reverse": 0,  # LLVM M7WriteShSIMD0
    "multiply": 2,  # LLVM WriteMUL, WriteMAC; GCC cortex_m7_mac; measured
    "divide": 1,  # LLVM WriteDIV, once it has stalled the rest
    "load": 1,  # LLVM WriteLd; measured
    "narrow load": 2,  # LLVM M7SlowLoad: bytes and half words; measured
    "load several": 1,  # LLVM WriteLd
    "float": 3,  # LLVM WriteFPALU32; measured
    "float multiply-add": 5,  # LLVM M7WriteVFPLatOverride5; measured
    "float divide": 3,  # LLVM M7WriteVFPLatOverride, once it has stalled the rest
}
OTHER_RESULT = 3  # LLVM M7NonGeneralPurpose

UNITS = {  # what only one of a pair can have
    "extend": {"simd"},  # LLVM M7UnitSIMD; measured
    "extend and add": {"simd", "shifter"},  # LLVM M7UnitShift1; measured
    "parallel": {"simd"},
    "saturate": {"simd", "shifter"},
    "field": {"simd", "shifter"},
    "insert": {"simd", "shifter"},  # LLVM M7Slot0Only; measured
    "pack": {"simd", "shifter"},
    "reverse": {"simd", "shifter"},
    "multiply": {"multiplier"},  # LLVM M7UnitMAC; measured
    "store": {"store", "multiplier"},  # LLVM M7UnitStore; no multiply beside a store: measured, GCC cm7_wb
    "branch": {"branch"},  # LLVM M7UnitBranch
    "float": {"fpu"},  # LLVM M7UnitVFP
    "float multiply-add": {"fpu"},
    "float divide": {"fpu"},
}

ALONE = ("load several", "store several", "divide", "system", "unknown")  # LLVM SingleIssue
DIVIDE: Cycles = (4, 7)  # GCC cortex_m7_idiv; LLVM WriteDIV
FLOAT_DIVIDE: Cycles = (14, 16)  # measured: VSQRT, VDIV
TAKEN: Cycles = (0, 1)  # measured: none where it is predicted, but "highly sensitive to alignment"
INDIRECT: Cycles = (0, 8)  # whether returns are predicted is not published
MISSED: Cycles = (0, 8)  # measured: 6 to 8 cycles; none where the predictor has learned the rarer way, too


@dataclass(frozen=True)
class CortexM7(PipelineTiming):
    """Its rules."""

    def latency(self, producer: Instruction, consumer: Instruction, register: str) -> Cycles:
        """A word that is loaded goes straight to an ALU, but not to a multiplier, the shifter or an address."""
        if consumer.group == "branch":
            return NOTHING  # it was predicted
        cycles = RESULT.get(producer.group, OTHER_RESULT)
        if producer.updates and register == producer.base:
            cycles = 0  # LLVM M7BaseUpdate
        elif producer.group in ("load", "load several") and consumer.group == "multiply":
            cycles += 1  # LLVM CortexM7Overrides; measured
        if register in consumer.address:
            cycles += 2 if producer.group == "multiply" else 1  # LLVM CortexM7Overrides, M7Read_ISS; measured
        elif register in consumer.shifted:
            cycles += 1  # LLVM M7Ex1ReadNoFastBypass, M7Read_ISS; measured
        elif register in consumer.late:
            cycles -= 1  # LLVM ReadMAC, M7Read_EX2; measured
        return (max(0, cycles),) * 2

    def pairs(self, older: Instruction, younger: Instruction) -> tuple[bool, bool]:
        """Two that need different units: DSP and bit fields only as the older one, two loads from different banks."""
        if _alone(older) or _alone(younger):
            return False, False
        first, second = _units(older), _units(younger)
        if first & second or "simd" in second:  # LLVM M7Slot0Only, BeginGroup; measured
            return False, False
        return _other_bank(older, younger) if older.kind == younger.kind == "load" else (True, True)

    def busy(self, instruction: Instruction) -> Cycles:
        """Two registers move in a cycle; divisions stall what follows."""
        if instruction.group in ("load several", "store several"):
            return (ceil(instruction.registers / 2),) * 2  # measured; GCC cortex_m7_load2, cortex_m7_loadm
        return {"divide": DIVIDE, "float divide": FLOAT_DIVIDE}.get(instruction.group, ONE)

    def taken(self, block: Sequence[Instruction]) -> Cycles:
        """Of a branch that is predicted."""
        return INDIRECT if block[-1].target is None else TAKEN

    def missed(self, branch: Instruction) -> Cycles:
        """Of a branch that is not."""
        return NOTHING if branch.target is None else MISSED


def _units(instruction: Instruction) -> set[str]:
    if instruction.group == "alu":
        return {"shifter"} if instruction.shifted else set()
    return UNITS.get(instruction.group, set())


def _alone(instruction: Instruction) -> bool:
    doubles = instruction.kind == "float" and any(register.startswith("d") for register in instruction.writes)
    return doubles or instruction.group in ALONE or instruction.name in ("tbb", "tbh")  # LLVM M7TableLoad


def _other_bank(older: Instruction, younger: Instruction) -> tuple[bool, bool]:
    """Memory has two banks, of even and of odd words. Addresses that do not start from one register are unknown."""
    apart = younger.offset - older.offset
    if older.base != younger.base or older.indexed or younger.indexed or apart % 4:
        return True, False
    return (apart % 8 == 4,) * 2


CORTEX_M7 = CortexM7(
    sources=(LLVM, GCC, MEASURED),
    assumption="tightly coupled memory or caches that hit, aligned data, and half of the rarer branches predicted",
    expected_error="silicon took 1.30 times as long (STM32F746 at 216 MHz with caches, one network, CMSIS-NN)",
)
