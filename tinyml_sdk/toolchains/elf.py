"""What an ELF really puts into flash and RAM."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..errors import InputError

__all__ = ["MemoryUse", "read_compiler", "read_sections"]

_T = TypeVar("_T")

_COMPILER = re.compile(r"(GCC: \(.*?\)|clang version) (\d+(?:\.\d+)*)")


@dataclass(frozen=True)
class MemoryUse:
    """Bytes that a firmware takes.

    Attributes:
        code: Machine code, vectors, and constants other than weights.
        weights: The model's constants.
        data: Initialised variables: they lie in RAM, and their first values in flash.
        bss: Zeroed variables.
    """

    code: int
    weights: int
    data: int
    bss: int

    @property
    def flash(self) -> int:
        """All that is programmed into flash."""
        return self.code + self.weights + self.data


def read_sections(elf: Path, weight_symbols: frozenset[str]) -> MemoryUse:
    """Add up the allocated sections of a firmware.

    Args:
        elf: A linked firmware with its symbol table.
        weight_symbols: Names of the objects to count as weights. One that the linker dropped counts nothing.

    Raises:
        InputError: the file cannot be read or is not an ELF.
    """
    return _read(elf, lambda image: _measure(image, weight_symbols))


def read_compiler(elf: Path) -> tuple[str, str]:
    """Name and version of the compiler that made a firmware: `GCC` or `clang`; `unknown` where the ELF does not say.

    Raises:
        InputError: as for `read_sections`.
    """

    def comment(image: Any) -> str:
        section = image.get_section_by_name(".comment")
        return str(section.data().decode(errors="replace")) if section else ""

    return compiler_in(_read(elf, comment))


def compiler_in(comment: str) -> tuple[str, str]:
    """Name and version in what compilers leave in the section .comment: `GCC: (15:12.2.rel1-1) 12.2.1 20221205`."""
    found = _COMPILER.search(comment)
    return (re.split("[: ]", found.group(1))[0], found.group(2)) if found else ("unknown", "unknown")


def _read(elf: Path, what: Callable[[Any], _T]) -> _T:
    try:
        with elf.open("rb") as stream:
            return what(ELFFile(stream))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(elf), hint="build it first") from error
    except ELFError as error:
        raise InputError(f"not an ELF file: {error}", where=str(elf), hint="build it again") from error


def _measure(image: Any, weight_symbols: frozenset[str]) -> MemoryUse:
    constant = data = bss = 0
    moved = _moved_ranges(image)
    for section in image.iter_sections():
        if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
            continue
        if section["sh_type"] == "SHT_NOBITS":
            bss += section["sh_size"]
        elif any(first <= section["sh_addr"] < end for first, end in moved):
            data += section["sh_size"]
        else:
            constant += section["sh_size"]
    weights = _symbol_bytes(image, weight_symbols)
    return MemoryUse(code=constant - weights, weights=weights, data=data, bss=bss)


def _moved_ranges(image: Any) -> list[tuple[int, int]]:
    """Address ranges that start-up code fills from flash.

    They run elsewhere than they are loaded. The flag SHF_WRITE would not do: LLD sets it on all of .text when one
    input section in there has it.
    """
    return [
        (segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"])
        for segment in image.iter_segments("PT_LOAD")
        if segment["p_vaddr"] != segment["p_paddr"] and segment["p_filesz"]
    ]


def _symbol_bytes(image: Any, names: frozenset[str]) -> int:
    # Several names may lie at one place when the linker merged equal constants.
    spans = {
        symbol["st_value"]: symbol["st_size"]
        for table in image.iter_sections()
        if isinstance(table, SymbolTableSection)
        for symbol in table.iter_symbols()
        if symbol.name in names and symbol["st_shndx"] != "SHN_UNDEF"
    }
    return sum(spans.values())
