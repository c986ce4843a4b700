"""Machine code of a Cortex-M as what its timing depends on: kind, registers, and the address of a load or store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import MissingToolError

__all__ = ["KINDS", "Instruction", "decode", "require_capstone"]

KINDS = (
    "multiply",
    "divide",
    "load",
    "store",
    "load/store several",
    "branch",
    "float",
    "other",
)
"""Classes of instructions that a report tells apart. `multiply` includes the DSP extension's multiply-accumulates."""

_LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh")
_STORES = ("str", "strb", "strh")
_SEVERAL = ("ldm", "stm", "push", "pop", "ldrd", "strd", "vldm", "vstm", "vpush", "vpop")
_BRANCHES = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh")
_CONDITIONS = ("eq", "ne", "hs", "cs", "lo", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al")
_MULTIPLIES = ("mul", "mla", "mls", "smul", "smla", "smml", "smmu", "smua", "smus", "smls", "umul", "umla", "umaa")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: Mnemonic without condition, width and the `s` of flags: `ldr`, `smlad`, `b`.
        kind: One of KINDS.
        writes: Registers that it writes, by name.
        address: Registers that its address is made of; empty where it accesses no memory.
        indexed: Whether one of these is an index, not the base.
        updates: Whether it writes the base back.
        registers: How many registers a `load/store several` moves.
        jumps: Whether it may go elsewhere: a branch, or a load of the program counter.
    """

    name: str
    kind: str
    writes: frozenset[str]
    address: frozenset[str]
    indexed: bool = False
    updates: bool = False
    registers: int = 1
    jumps: bool = False


def require_capstone() -> Any:
    """The module capstone, imported only where code is disassembled.

    Raises:
        MissingToolError: it is not installed.
    """
    try:
        import capstone
    except ImportError as error:
        raise MissingToolError(
            "estimating cycles needs capstone, which is not installed", hint='pip install "tinyml-sdk[emulator]"'
        ) from error
    return capstone


def decode(code: bytes, address: int) -> Iterator[Instruction]:
    """The Thumb instructions of a piece of code, in order. What is no instruction ends it.

    Raises:
        MissingToolError: capstone is not installed.
    """
    capstone = require_capstone()
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    for instruction in decoder.disasm(code, address):
        yield _instruction(capstone, instruction)


def _instruction(capstone: Any, instruction: Any) -> Instruction:
    name = _plain_name(instruction.mnemonic)
    _, written = instruction.regs_access()
    writes = frozenset(instruction.reg_name(register) for register in written)
    memory = [operand.mem for operand in instruction.operands if operand.type == capstone.arm.ARM_OP_MEM]
    used = {register for part in memory for register in (part.base, part.index) if register}
    kind = _kind(name)
    moved = sum(operand.type == capstone.arm.ARM_OP_REG for operand in instruction.operands)
    return Instruction(
        name=name,
        kind=kind,
        writes=writes,
        address=frozenset(instruction.reg_name(register) for register in used),
        indexed=any(part.index for part in memory),
        updates=bool(instruction.writeback) and kind in ("load", "store"),
        registers=moved - (1 if name in ("ldm", "stm", "vldm", "vstm") else 0),
        jumps=kind == "branch" or "pc" in writes,
    )


def _plain_name(mnemonic: str) -> str:
    name = mnemonic.partition(".")[0]
    if name in ("bls", "bmls"):
        return "b"
    if name in (*_BRANCHES, *_LOADS, *_STORES, *_SEVERAL) or name.startswith(_MULTIPLIES):
        return name
    for suffix in ("db", "ia"):
        if name in (f"ldm{suffix}", f"stm{suffix}", f"vldm{suffix}", f"vstm{suffix}"):
            return name.removesuffix(suffix)
    stem = name[:-2] if name[-2:] in _CONDITIONS else name
    known = (*_BRANCHES, *_LOADS, *_STORES, *_SEVERAL)
    return stem if stem in known else name


def _kind(name: str) -> str:
    if name in _BRANCHES:
        return "branch"
    if name in _LOADS:
        return "load"
    if name in _STORES:
        return "store"
    if name in _SEVERAL:
        return "load/store several"
    if name.startswith("v"):
        return "float"
    if name.startswith(_MULTIPLIES):
        return "multiply"
    return "divide" if name.startswith(("sdiv", "udiv")) else "other"
