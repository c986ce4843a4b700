"""Exact instruction counts in unicorn, in all and by block: by a native hook where a C compiler is, else in Python."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import platform
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, ToolError
from ...toolchains import BuildJob, HostToolchain
from ...toolchains.cache import cache_dir

__all__ = ["RV32", "THUMB", "BlockCount", "Counter", "InstructionSet", "NativeCounter", "PythonCounter", "make_counter"]

_SOURCE = Path(__file__).resolve().with_name("block_counter.c")
_NEVER = 2**64 - 1
_TABLE_ENTRIES = 1 << 14

BlockCount = tuple[int, int]
"""How often a block was entered, and left for another place than the instruction behind its last."""


@dataclass(frozen=True)
class InstructionSet:
    """What a counter must know of it.

    Attributes:
        number: In `enum instruction_set` of block_counter.c.
        constants: The module of unicorn with its registers.
        pc: Name of the program counter there.
        first_register: Name of the first general register, for the core that has counters of its own; else empty.
    """

    number: int
    constants: str
    pc: str
    first_register: str = ""

    def register(self, name: str) -> int:
        """Unicorn's number of a register."""
        return int(getattr(importlib.import_module(f"unicorn.{self.constants}"), name))

    def length(self, low: int, high: int) -> int:
        """Bytes of the instruction that starts with these two."""
        is_long = low & 3 == 3 if self.number == RV32.number else high >> 3 >= 0x1D
        return 4 if is_long else 2

    def counter_read(self, last: int) -> int:
        """Number of the register into which the last instruction of a block reads a counter; see block_counter.c."""
        csr = last >> 20
        is_counter = csr & ~_CSR_HIGH in _COUNTERS and last & 0xFF07F == _READ_CSR
        if self.number != RV32.number or not is_counter or not last & _REGISTER_FIELD:
            return 0
        return last >> 7 & 31 | (32 if csr & _CSR_HIGH else 0)


THUMB = InstructionSet(0, "arm_const", "UC_ARM_REG_PC")
RV32 = InstructionSet(1, "riscv_const", "UC_RISCV_REG_PC", "UC_RISCV_REG_X0")

# RISC-V Instruction Set Manual, volume II: csrrs rd, csr, x0 of mcycle, minstret and their copies for user mode.
_READ_CSR, _REGISTER_FIELD, _CSR_HIGH = 0x02073, 31 << 7, 0x080
_COUNTERS = (0xB00, 0xB02, 0xC00, 0xC02)


class Counter(ABC):
    """Counts the instructions of one engine. `total` is exact while it is stopped, and `at_access` in a callback.

    The counters of a RISC-V core, which in unicorn show the time of this machine, are made to count instructions.

    Args:
        engine: The unicorn engine.
        peripherals: First and last address of each range that is mapped without permissions.
        instructions: Its instruction set.
    """

    kind: str
    """`native`, or `python`, which counts the same and is ten to twenty times slower."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Instructions executed. In a callback: to the end of the current block."""

    @abstractmethod
    def at_access(self) -> int:
        """Instructions executed before the one that accesses a peripheral just now."""

    @abstractmethod
    def stop_at(self, total: int) -> None:
        """Stop the engine before the first block that it enters with this many instructions executed."""

    @abstractmethod
    def blocks(self) -> dict[tuple[int, int], BlockCount] | None:
        """By address and size in bytes each block that was executed; None where some counts are lost."""

    def stop(self) -> None:
        """Stop the engine before its next block."""
        self.stop_at(0)


def make_counter(
    engine: Any, peripherals: tuple[tuple[int, int], ...], instructions: InstructionSet = THUMB
) -> Counter:
    """The native counter, or the one in Python where it cannot be compiled or loaded."""
    try:
        library = _library()
    except (ToolError, InputError, OSError):
        return PythonCounter(engine, peripherals, instructions)
    return NativeCounter(engine, peripherals, instructions, library)


# -- native -------------------------------------------------------------------------------------------------------


class _Block(ctypes.Structure):
    """`struct block` of block_counter.c."""

    _fields_ = (
        ("address", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("counter_read", ctypes.c_uint32),
        ("entered", ctypes.c_uint64),
        ("left", ctypes.c_uint64),
    )


class _State(ctypes.Structure):
    """`struct block_counter` of block_counter.c."""

    _fields_ = (
        ("total", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("current", ctypes.c_void_p),
        ("pending_read", ctypes.c_uint32),
        ("replaced", ctypes.c_uint32),
        ("access_pc", ctypes.c_uint32),
        ("instruction_set", ctypes.c_int32),
        ("pc_register", ctypes.c_int32),
        ("first_register", ctypes.c_int32),
        ("read_memory", ctypes.c_void_p),
        ("read_register", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("table", _Block * _TABLE_ENTRIES),
    )


_BLOCK = np.dtype([(name, np.dtype(kind)) for name, kind in _Block._fields_])


class NativeCounter(Counter):
    """block_counter.c, which unicorn calls without Python in between."""

    kind = "native"

    def __init__(
        self,
        engine: Any,
        peripherals: tuple[tuple[int, int], ...],
        instructions: InstructionSet,
        library: ctypes.CDLL,
    ) -> None:
        from unicorn import unicorn_const
        from unicorn.unicorn_py3.unicorn import uclib

        if library.block_counter_bytes() != ctypes.sizeof(_State):
            raise AssertionError("counting.py and block_counter.c disagree about struct block_counter")
        # The binding calls only Python functions; hooks of other code go to the C interface under it.
        self._engine = engine._uch
        self._state = _State(
            limit=_NEVER,
            instruction_set=instructions.number,
            pc_register=instructions.register(instructions.pc),
            first_register=instructions.register(instructions.first_register) if instructions.first_register else 0,
            read_memory=_address_of(uclib.uc_mem_read),
            read_register=_address_of(uclib.uc_reg_read),
            write_register=_address_of(uclib.uc_reg_write),
            stop=_address_of(uclib.uc_emu_stop),
        )
        self._library = library
        library.count_at_access.restype = ctypes.c_uint64
        self._hook(uclib, unicorn_const.UC_HOOK_BLOCK, library.on_block, 1, 0)
        for first, last in peripherals:
            kinds = unicorn_const.UC_HOOK_MEM_READ_PROT | unicorn_const.UC_HOOK_MEM_WRITE_PROT
            self._hook(uclib, kinds, library.on_access, first, last)

    def _hook(self, uclib: Any, kinds: int, function: Any, first: int, last: int) -> None:
        status = uclib.uc_hook_add(
            self._engine,
            ctypes.byref(ctypes.c_size_t()),
            kinds,
            ctypes.c_void_p(_address_of(function)),
            ctypes.cast(ctypes.byref(self._state), ctypes.c_void_p),
            ctypes.c_uint64(first),
            ctypes.c_uint64(last),
        )
        if status != 0:
            raise AssertionError(f"uc_hook_add returned {status}")

    @property
    def total(self) -> int:
        """As in Counter."""
        return int(self._state.total)

    def at_access(self) -> int:
        """As in Counter."""
        return int(self._library.count_at_access(self._engine, ctypes.byref(self._state)))

    def stop_at(self, total: int) -> None:
        """As in Counter."""
        self._state.limit = total

    def blocks(self) -> dict[tuple[int, int], BlockCount] | None:
        """As in Counter."""
        if self._state.replaced:
            return None
        table = np.frombuffer(self._state.table, _BLOCK)
        used = table[table["entered"] > 0]
        keys = zip(used["address"].tolist(), used["size"].tolist(), strict=True)
        counts = zip(used["entered"].tolist(), used["left"].tolist(), strict=True)
        return dict(zip(keys, counts, strict=True))


def _address_of(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _library() -> ctypes.CDLL:
    """block_counter.c for this machine, compiled the first time and kept under a hash of its content."""
    source = _SOURCE.read_bytes()
    key = hashlib.sha256(source + platform.platform().encode() + platform.machine().encode()).hexdigest()[:16]
    path = cache_dir("emulator") / f"block_counter-{key}.so"
    if not path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / _SOURCE.name).write_bytes(source)
            # It appears whole or not at all, so two processes may do this at once.
            HostToolchain("library").build(BuildJob(Path(folder), (_SOURCE.name,), (), None, None, "speed", path))
    return ctypes.CDLL(str(path))


# -- Python -------------------------------------------------------------------------------------------------------


class PythonCounter(Counter):
    """The same in Python, for machines without a C compiler."""

    kind = "python"

    def __init__(
        self, engine: Any, peripherals: tuple[tuple[int, int], ...], instructions: InstructionSet = THUMB
    ) -> None:
        from unicorn import unicorn_const

        self._engine = engine
        self._set = instructions
        self._pc_register = instructions.register(instructions.pc)
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._counter_read = 0
        self._counts: dict[tuple[int, int], list[int]] = {}
        self._block: tuple[int, int] | None = None
        self._block_end = 0
        self._access_pc = 0
        self._total = 0
        self._limit = _NEVER
        engine.hook_add(unicorn_const.UC_HOOK_BLOCK, self._on_block)
        for first, last in peripherals:
            kinds = unicorn_const.UC_HOOK_MEM_READ_PROT | unicorn_const.UC_HOOK_MEM_WRITE_PROT
            engine.hook_add(kinds, self._on_access, begin=first, end=last)

    @property
    def total(self) -> int:
        """As in Counter."""
        return self._total

    def at_access(self) -> int:
        """As in Counter."""
        return self._total - self._instructions_between(self._access_pc, self._block_end)

    def stop_at(self, total: int) -> None:
        """As in Counter."""
        self._limit = total

    def blocks(self) -> dict[tuple[int, int], BlockCount] | None:
        """As in Counter."""
        return {key: (entered, left) for key, (entered, left) in self._counts.items()}

    def _on_block(self, engine: Any, address: int, size: int, _user: object) -> None:
        if self._counter_read:
            self._deliver()
        if self._total >= self._limit:
            engine.emu_stop()
            return
        if self._block is not None and self._block_end != address:
            self._counts[self._block][1] += 1
        block = self._block = (address, size)
        if block not in self._known:
            instructions = self._instructions_between(address, address + size)
            self._known[block] = instructions, self._counter_read_by(address, size)
            self._counts[block] = [0, 0]
        self._counts[block][0] += 1
        self._block_end = address + size
        instructions, self._counter_read = self._known[block]
        self._total += instructions

    def _deliver(self) -> None:
        """See block_counter.c."""
        register = self._set.register(self._set.first_register) + (self._counter_read & 31)
        before = self._total - 1
        self._engine.reg_write(register, (before >> 32 if self._counter_read & 32 else before) & 0xFFFFFFFF)
        self._counter_read = 0

    def _counter_read_by(self, address: int, size: int) -> int:
        if size < 4:
            return 0
        return self._set.counter_read(int.from_bytes(self._engine.mem_read(address + size - 4, 4), "little"))

    def _on_access(self, engine: Any, _kind: int, _address: int, _size: int, _value: int, _user: object) -> bool:
        self._access_pc = engine.reg_read(self._pc_register)
        return True

    def _instructions_between(self, address: int, end: int) -> int:
        """See block_counter.c."""
        instructions = 0
        code = self._engine.mem_read(address, max(0, end - address))
        at = 0
        while at < len(code):
            at += self._set.length(code[at], code[at + 1])
            instructions += 1
        return instructions
