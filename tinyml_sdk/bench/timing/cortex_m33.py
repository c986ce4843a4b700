"""Cortex-M33: three stages, an instruction at a time, or a narrow one and a branch. Arm publishes no cycles.

Additions, shifts and the like end in the second stage. Products, what passes the shifter on its way to the ALU, and
loads end in the third, a cycle later; what a product is added to and what is stored are read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..instructions import Instruction
from .base import NOTHING, ONE, Cycles
from .pipeline import PipelineTiming

__all__ = ["CORTEX_M33"]

MEASURED = "jnk0le/random, pipeline cycle test/doc/cortex_m33.md, measured on an RP2350"
LLVM = "LLVM, lib/Target/ARM: ARMScheduleM4.td, which it takes for Cortex-M33, and ARMScheduleM55.td"

SECOND_STAGE: Cycles = (1, 1)
THIRD_STAGE: Cycles = (2, 2)
EITHER_STAGE: Cycles = (1, 2)  # not measured: LLVM has 1 for Cortex-M4 and 2 for most of it on Cortex-M55

RESULT: dict[str, Cycles] = {  # cycles until it may be used
    "alu": SECOND_STAGE,  # measured, without a shifted operand
    "extend": SECOND_STAGE,  # LLVM M55WriteDI
    "insert": SECOND_STAGE,  # measured: BFI
    "extend and add": THIRD_STAGE,  # measured
    "multiply": THIRD_STAGE,  # measured; LLVM WriteMAC
    "divide": THIRD_STAGE,  # LLVM WriteDIV
    "load": THIRD_STAGE,  # measured; LLVM WriteLd
    "narrow load": THIRD_STAGE,
    "load several": THIRD_STAGE,
    "float": SECOND_STAGE,  # LLVM WriteFPALU32
    "float multiply-add": (3, 3),  # measured; LLVM WriteFPMAC32
}

DIVIDE: Cycles = (2, 12)  # Cortex-M4's; LLVM takes that for Cortex-M33
FLOAT_DIVIDE: Cycles = (14, 14)  # LLVM WriteFPDIV32, WriteFPSQRT32
RETURN: Cycles = (2, 3)  # a load, measured to take 2 until its use, and perhaps a second fetch


@dataclass(frozen=True)
class CortexM33(PipelineTiming):
    """Its rules."""

    def latency(self, producer: Instruction, consumer: Instruction, register: str) -> Cycles:
        """Results of the third stage come a cycle later, but in time for what is read there."""
        if producer.updates and register == producer.base:
            return SECOND_STAGE
        result = RESULT.get(producer.group, EITHER_STAGE)
        if producer.group == "alu" and producer.shifted:
            result = THIRD_STAGE  # measured
        return SECOND_STAGE if result == THIRD_STAGE and register in consumer.late else result  # measured

    def pairs(self, older: Instruction, younger: Instruction) -> tuple[bool, bool]:
        """Only a branch, IT or NOP beside another instruction, both narrow."""
        folds = younger.group == "branch" or younger.name == "nop" or younger.name.startswith("it")
        return (folds and older.narrow and younger.narrow and not older.jumps,) * 2  # measured

    def busy(self, instruction: Instruction) -> Cycles:
        """A register moves in a cycle. MULS sets flags in the third stage."""
        if instruction.group in ("load several", "store several"):
            return (instruction.registers,) * 2  # measured
        if instruction.group == "multiply" and instruction.narrow:
            return 2, 2  # measured
        return {"divide": DIVIDE, "float divide": FLOAT_DIVIDE}.get(instruction.group, ONE)

    def taken(self, block: Sequence[Instruction]) -> Cycles:
        """A branch takes two cycles in all, or one beside an instruction that sets no flags."""
        branch = block[-1]
        if branch.group != "branch":
            return RETURN
        beside = len(block) > 1 and self.pairs(block[-2], branch)[0]
        least = 2 if beside and "cpsr" in block[-2].writes else 1  # measured
        # A wide instruction that does not lie on a word takes a second fetch.
        return least, least if branch.target is not None and branch.target % 4 == 0 else least + 1

    def missed(self, branch: Instruction) -> Cycles:
        """It predicts nothing."""
        return NOTHING


CORTEX_M33 = CortexM33(
    sources=(MEASURED, LLVM),
    assumption="half of the branches to wide instructions that lie across two words",
    expected_error="silicon took 1.14 to 1.50 times as long (nRF5340 at 128 MHz and RA6M4 at 200 MHz, both with wait "
    "states, CMSIS-NN)",
)
