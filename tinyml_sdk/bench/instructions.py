"""Machine code of a Cortex-M as what its timing depends on: kind, width, and what its registers are needed for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import MissingToolError

__all__ = ["GROUPS", "KINDS", "Instruction", "decode", "require_capstone"]

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

GROUPS: dict[str, tuple[str, ...]] = {
    "alu": tuple(
        "adc add adr and asr bic cmn cmp eor it lsl lsr mov mvn neg nop orn orr ror rrx rsb sbc sub teq tst".split()
    ),
    "extend": ("sxtb", "sxth", "uxtb", "uxth"),
    "extend and add": ("sxta", "uxta"),
    "parallel": tuple("sadd sasx ssax ssub sh uadd uasx usax usub uh sel clz sxtb16 uxtb16".split()),
    "saturate": ("q", "ssat", "uq", "usad", "usat"),
    "field": ("sbfx", "ubfx"),
    "insert": ("bfc", "bfi"),
    "pack": ("pkh",),
    "reverse": ("rbit", "rev"),
    "system": tuple("bkpt cps dmb dsb isb mrs msr sev svc vmrs vmsr wfe wfi yield".split()),
    "float": ("v",),
    "float multiply-add": ("vfm", "vfnm", "vml", "vnml"),
    "float divide": ("vdiv", "vsqrt"),
    "load": ("ldr", "vldr"),
    "narrow load": ("ldrb", "ldrh", "ldrsb", "ldrsh"),
    "load several": ("ldm", "ldrd", "pop", "vldm", "vpop"),
    "store": ("str", "vstr"),
    "store several": ("push", "stm", "strd", "vpush", "vstm"),
}
"""What takes the same of a pipeline, by the beginning of the mnemonic; the longest that fits holds. Kinds `multiply`,
`divide` and `branch` are groups, too."""

_LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh")
_STORES = ("str", "strb", "strh")
_SEVERAL = ("ldm", "stm", "push", "pop", "ldrd", "strd", "vldm", "vstm", "vpush", "vpop")
_BRANCHES = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh")
_CONDITIONS = ("eq", "ne", "hs", "cs", "lo", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al")
_MULTIPLIES = ("mul", "mla", "mls", "smul", "smla", "smml", "smmu", "smua", "smus", "smls", "umul", "umla", "umaa")
_ACCUMULATE_LONG = ("smlal", "umlal", "umaal", "smlsld")
_MULTIPLY_LONG = ("smull", "umull")
_SHIFTING = ("pkh", "sxta", "uxta", "bfi", "sbfx", "ubfx", "ssat", "usat", "rev", "rbit")
_EXTENDING = ("sxt", "uxt")
_FLAGS = frozenset(("cpsr",))


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: Mnemonic without condition, width and the `s` of flags: `ldr`, `smlad`, `b`.
        kind: One of KINDS.
        group: What it takes of a pipeline: one of GROUPS, or `unknown`.
        writes: Registers that it writes, by name; `cpsr` are the flags.
        reads: Registers that it reads, those of its address included.
        address: Registers that its address is made of; empty where it accesses no memory.
        shifted: Registers that pass the shifter on their way: `r2` of `add r0, r1, r2, lsl #3` and `pkhbt r0, r1, r2`.
        late: Registers whose value it needs last: what a multiply adds to, and what a store stores.
        base: The register that its address starts from.
        offset: Bytes from there, where that is a constant.
        indexed: Whether its address has an index, too.
        updates: Whether it writes the base back.
        registers: How many registers a `load/store several` moves.
        narrow: Whether it takes 16 bits, not 32.
        jumps: Whether it may go elsewhere: a branch, or a load of the program counter.
        target: Where it goes, if that is a constant.
    """

    name: str
    kind: str
    group: str
    writes: frozenset[str]
    address: frozenset[str]
    reads: frozenset[str] = frozenset()
    shifted: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    base: str | None = None
    offset: int = 0
    indexed: bool = False
    updates: bool = False
    registers: int = 1
    narrow: bool = False
    jumps: bool = False
    target: int | None = None


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
    kind = _kind(name)
    operands = instruction.operands
    registers = [operand for operand in operands if operand.type == capstone.arm.ARM_OP_REG]
    memory = next((operand.mem for operand in operands if operand.type == capstone.arm.ARM_OP_MEM), None)

    def named(numbers: Iterable[int]) -> frozenset[str]:
        return frozenset(instruction.reg_name(number) for number in numbers if number)

    def of(chosen: Iterable[Any]) -> frozenset[str]:
        return named(operand.reg for operand in chosen)

    read, written = (named(numbers) for numbers in instruction.regs_access())
    # Capstone leaves out the second operand of SXTAB16 and PKHBT, and that of SSAT, which it marks as not accessed.
    reads = read | of(operand for operand in registers if operand.access != capstone.CS_AC_WRITE)
    late = of(_late(name, kind, registers))
    reads, writes = reads | late, written | _FLAGS if instruction.update_flags else written
    if kind != "branch" and instruction.cc != capstone.arm.ARM_CC_AL and name[:2] != "it":
        reads |= _FLAGS
    return Instruction(
        name=name,
        kind=kind,
        group=_group(name, kind),
        writes=writes,
        reads=reads,
        address=named((memory.base, memory.index)) if memory else frozenset(),
        shifted=of(_shifted(name, registers)),
        late=late,
        base=instruction.reg_name(memory.base) if memory else None,
        offset=memory.disp if memory else 0,
        indexed=bool(memory and memory.index),
        updates=bool(instruction.writeback) and kind in ("load", "store"),
        registers=len(registers) - (1 if name in ("ldm", "stm", "vldm", "vstm") else 0),
        narrow=instruction.size == 2,
        jumps=kind == "branch" or "pc" in writes,
        target=operands[-1].imm if kind == "branch" and operands[-1].type == capstone.arm.ARM_OP_IMM else None,
    )


def _shifted(name: str, registers: Sequence[Any]) -> Iterable[Any]:
    """Of its register operands, those that pass the shifter. What extends bytes has a rotation of its own."""
    if name.startswith(_SHIFTING):
        return registers[-1:]
    return () if name.startswith(_EXTENDING) else (operand for operand in registers if operand.shift.type)


def _late(name: str, kind: str, registers: Sequence[Any]) -> Sequence[Any]:
    """Of its register operands, those whose value it needs last."""
    if kind == "store":
        return registers[:1]
    if kind == "multiply" and name.startswith(_ACCUMULATE_LONG):
        return registers[:2]
    # MLA r0, r1, r2, r3 adds to r3; UMULL r0, r1, r2, r3 to nothing.
    return registers[3:] if kind == "multiply" and not name.startswith(_MULTIPLY_LONG) else ()


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


@cache
def _group(name: str, kind: str) -> str:
    if kind in ("multiply", "divide", "branch"):
        return kind
    fitting = [(len(begin), group) for group, names in GROUPS.items() for begin in names if name.startswith(begin)]
    return max(fitting, default=(0, "unknown"))[1]
