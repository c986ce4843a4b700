"""A firmware as the emulator needs it: what lies where, and what it is called."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ...errors import TargetError

__all__ = ["FirmwareImage", "read_image"]

_MAPPING_SYMBOLS = ("$a", "$t", "$d", ".L")
"""Armv7 ELF's marks of code and data, and labels that an assembler made up for RISC-V: they name nothing."""

_MACHINES = {"EM_ARM": "Arm", "EM_RISCV": "RISC-V"}


@dataclass(frozen=True)
class FirmwareImage:
    """What a programmer writes to the board.

    Attributes:
        segments: Load address and content of each.
        symbols: Address and name of functions and objects, by address.
    """

    path: Path
    segments: tuple[tuple[int, bytes], ...]
    symbols: tuple[tuple[int, str], ...]

    def describe(self, address: int) -> str:
        """An address and, where one is near below it, a symbol: `0x000001a4 (main+0x14)`."""
        index = bisect_right(self.symbols, (address, "\U0010ffff")) - 1
        text = f"0x{address:08x}"
        if index < 0 or address - self.symbols[index][0] > 0x10000:
            return text
        start, name = self.symbols[index]
        return f"{text} ({name}+0x{address - start:x})"


def read_image(path: Path, machine: str = "EM_ARM") -> FirmwareImage:
    """Read an ELF for 32-bit Arm or RISC-V.

    Raises:
        TargetError: it is none, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            if elf["e_machine"] != machine or elf.elfclass != 32 or not elf.little_endian:
                raise _unusable(path, f"not a firmware for little-endian 32-bit {_MACHINES[machine]}")
            segments = tuple(
                (segment["p_paddr"], segment.data()) for segment in elf.iter_segments("PT_LOAD") if segment["p_filesz"]
            )
            return FirmwareImage(path, segments, _symbols(elf))
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except ELFError as error:
        raise _unusable(path, f"not an ELF file: {error}") from error


def _symbols(elf: ELFFile) -> tuple[tuple[int, str], ...]:
    found = set()
    for table in elf.iter_sections():
        if not isinstance(table, SymbolTableSection):
            continue
        for symbol in table.iter_symbols():
            kind = symbol["st_info"]["type"]
            if kind in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") and symbol.name[:2] not in _MAPPING_SYMBOLS:
                # The lowest bit of a function's address says that it is Thumb code.
                found.add((symbol["st_value"] & ~1 if kind == "STT_FUNC" else symbol["st_value"], symbol.name))
    return tuple(sorted((address, name) for address, name in found if name))


def _unusable(path: Path, problem: str) -> TargetError:
    return TargetError(problem, where=str(path), hint="build the firmware again for this board")
