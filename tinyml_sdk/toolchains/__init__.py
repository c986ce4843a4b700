"""Compilers: firmware for boards (`zig`, the default, `gnu_arm`, `platformio`), programs of this machine (`host`).

Adding one is a new file with a `Toolchain` and a line in `_TOOLCHAINS`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import InputError
from .base import BuildJob, BuildResult, Library, Toolchain
from .elf import MemoryUse, read_compiler, read_sections
from .gnu_arm import GnuArmToolchain
from .host import HostToolchain
from .platformio import PlatformioToolchain
from .zig import ZigToolchain

__all__ = [
    "BuildJob",
    "BuildResult",
    "HostToolchain",
    "Library",
    "MemoryUse",
    "Toolchain",
    "get_toolchain",
    "list_toolchains",
    "read_compiler",
    "read_sections",
]

_TOOLCHAINS: dict[str, Callable[[], Toolchain]] = {
    "zig": ZigToolchain,
    "gnu_arm": GnuArmToolchain,
    "platformio": PlatformioToolchain,
    "host": HostToolchain,
}


def get_toolchain(name: str) -> Toolchain:
    """The toolchain of that name, installed or not.

    Raises:
        InputError: there is none.
    """
    if name not in _TOOLCHAINS:
        raise InputError(f"no toolchain {name!r}", hint=f"choose one of {', '.join(_TOOLCHAINS)}")
    return _TOOLCHAINS[name]()


def list_toolchains() -> tuple[str, ...]:
    """The names `get_toolchain` knows, the default first."""
    return tuple(_TOOLCHAINS)
