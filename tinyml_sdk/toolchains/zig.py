"""Zig's C compiler, a wheel with clang, LLD and run-time libraries for every core: the default toolchain."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from ..boards.compiler_flags import zig_cpu_flags
from ..errors import InputError, MissingToolError
from .base import (
    BuildJob,
    BuildResult,
    Toolchain,
    common_flags,
    missing_tool,
    require_board,
    search_flags,
    staged_output,
)
from .cache import cache_dir, one_at_a_time
from .process import VERSION_DEADLINE_S, run_program

__all__ = ["ZigToolchain", "find_zig", "zig_cache"]

_CODE = (
    "-ffreestanding",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    # Zig turns the undefined-behaviour sanitizer on by itself, and keeps frame pointers.
    "-fno-sanitize=undefined",
    "-fomit-frame-pointer",
)

# Without -nostdlib: zig would leave its run-time library out, and with it memcpy and division.
_LINK = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-e,Reset_Handler")

# Without -g zig strips the symbols, by which weights are told from code, wherever it optimizes for size.
_SYMBOLS = ("-g",)

# Zig's run-time library comes with debug information, a hundred kilobytes and more that name folders of this machine.
# Its --strip-debug takes the symbol table too, so the linker script that is really used discards it.
_SCRIPT = """INCLUDE "{script}"
SECTIONS {{ /DISCARD/ : {{ *(.debug_*) }} }}
"""


class ZigToolchain(Toolchain):
    """`zig cc` of the ziglang wheel. All files go into one command: zig compiles them in parallel and caches each."""

    name = "zig"

    def available(self) -> bool:  # noqa: D102 - as in Toolchain
        return find_zig() is not None

    def version(self) -> str:  # noqa: D102
        return _version(_require_zig())

    def build(self, job: BuildJob) -> BuildResult:  # noqa: D102
        _refuse_library(job)
        zig = _require_zig()
        target = zig_cpu_flags(require_board(job))
        compile_flags = (*target, *common_flags(job), *_CODE, *_SYMBOLS)
        with staged_output(job) as staged:
            script = staged.with_name("link.ld")
            script.write_text(_SCRIPT.format(script=job.linker_script))
            command = [zig, "cc", *compile_flags, *_LINK, *search_flags(job)]
            command += ["-T", str(script), *job.sources, "-o", str(staged)]
            with zig_cache() as environment:
                warnings = self._run(command, job, environment)
        return BuildResult(job.output, self.name, _version(zig), (*compile_flags, *_LINK), warnings)


def _refuse_library(job: BuildJob) -> None:
    """Zig has no C++ library for a target without an operating system, and libraries are built for newlib."""
    if job.library is not None:
        raise InputError(
            "zig cannot link a C++ library for a bare-metal core",
            where=str(job.library.archive),
            hint="build with --toolchain gnu_arm",
        )


def find_zig() -> str | None:
    """The compiler inside the ziglang wheel. Called directly, as `python -m ziglang` only adds its own start."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).with_name("zig")
    return str(program) if program.is_file() else None


def _require_zig() -> str:
    program = find_zig()
    if program is None:
        raise missing_tool("zig (the ziglang wheel)", 'pip install "tinyml-sdk[zig]", or use --toolchain gnu_arm')
    return program


@contextmanager
def zig_cache() -> Iterator[dict[str, str]]:
    """The environment in which zig may run: both its caches in the user's cache folder, for one process at a time.

    Left to itself zig makes a cache in the project. And two of it that compile at once in one cache take locks on files
    that they share in different order: sooner or later they wait for each other for ever (seen with 0.15.2).
    """
    folder = cache_dir("zig")
    with one_at_a_time(folder):
        yield {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}


@lru_cache
def _version(zig: str) -> str:
    done = run_program([zig, "version"], deadline=VERSION_DEADLINE_S)
    if done.returncode != 0:
        raise MissingToolError(
            f"zig does not start: {done.stderr.strip() or 'no message'}",
            where=zig,
            hint="pip install --force-reinstall ziglang",
        )
    return done.stdout.strip()
