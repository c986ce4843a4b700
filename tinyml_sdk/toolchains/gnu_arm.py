"""Arm's GNU toolchain, `arm-none-eabi-gcc`, from the PATH."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from ..boards.compiler_flags import gnu_cpu_flags
from ..errors import BuildError, MissingToolError
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
from .process import VERSION_DEADLINE_S, run_program

__all__ = ["GnuArmToolchain"]

_GCC = "arm-none-eabi-gcc"
_GCC_REMEDY = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi, or use --toolchain zig"

_CODE = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fomit-frame-pointer")
_C_CODE = (
    "-ffreestanding",
    *_CODE,
    # Loops that copy stay what they are: memcpy and memset would be called for a few bytes, and take hundreds in flash.
    "-fno-tree-loop-distribute-patterns",
)

# Start-up code is the port's own. Of newlib only what the compiler calls by itself is wanted: memcpy and its kin, from
# its small variant.
_LINK = ("-nostartfiles", "-nodefaultlibs", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-e,Reset_Handler")
_LIBRARIES = ("-Wl,--start-group", "-lc_nano", "-lgcc", "-Wl,--end-group")

# A C++ library wants more of newlib, its fast loops for copying among it, and stubs for system calls that no firmware
# here makes.
_CXX_CODE = ("-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics", "-fno-use-cxa-atexit")
_CXX_LIBRARIES = (
    "-Wl,--start-group", "-lstdc++", "-lm", "-lc", "-lgcc", "-lnosys", "-Wl,--end-group", "-Wl,--defsym=end=_end"
)  # fmt: skip
_CXX_REMEDY = "apt-get install libstdc++-arm-none-eabi-newlib"

_NO_NEWLIB = re.compile(r"cannot find -lc(?:_nano)?\b")
_NO_CXX_LIBRARY = re.compile(r"cannot find -lstdc\+\+|fatal error: (?:new|cstd\w+|algorithm): No such file")


class GnuArmToolchain(Toolchain):
    """One gcc per source file, as many at a time as there are processors, then one link."""

    name = "gnu_arm"

    def available(self) -> bool:  # noqa: D102 - as in Toolchain
        return shutil.which(_GCC) is not None

    def version(self) -> str:  # noqa: D102
        return _version(_require_gcc())

    def build(self, job: BuildJob) -> BuildResult:  # noqa: D102
        gcc = _require_gcc()
        cpu = _cpu_flags(job)
        compile_flags = (*cpu, *common_flags(job), *_C_CODE)
        libraries = _CXX_LIBRARIES if job.library else _LIBRARIES
        with staged_output(job) as staged:
            # By number and not by name: two folders may hold files of one name.
            objects = [str(staged.parent / f"{index}.o") for index in range(len(job.sources))]
            archives = [str(job.library.archive)] if job.library else []
            link = [gcc, *cpu, *_LINK, "-T", str(job.linker_script), *objects, *archives, *libraries, "-o", str(staged)]
            try:
                warnings = self._compile_all(gcc, cpu, job, staged.parent)
                warnings += self._run(link, job)
            except BuildError as error:
                if _NO_NEWLIB.search(error.output):
                    raise missing_tool("newlib for arm-none-eabi-gcc", _GCC_REMEDY) from error
                if _NO_CXX_LIBRARY.search(error.output):
                    raise missing_tool("libstdc++ for arm-none-eabi-gcc", _CXX_REMEDY) from error
                raise
        linked = (*libraries, job.library.name) if job.library else libraries
        return BuildResult(job.output, self.name, _version(gcc), (*compile_flags, *_LINK, *linked), warnings)

    def _compile_all(self, gcc: str, cpu: Sequence[str], job: BuildJob, folder: Path) -> str:
        """Compile every source to `folder/N.o`. Of several errors, that of the first file in order is raised."""
        flags = {
            ".c": (*cpu, *common_flags(job), *_C_CODE),
            ".cpp": (*cpu, *common_flags(job, "c++17"), *_CODE, *_CXX_CODE, *_library_flags(job)),
        }

        def compile_one(index: int) -> str:
            source = job.sources[index]
            command = [gcc, *flags[Path(source).suffix], *search_flags(job)]
            return self._run([*command, "-c", source, "-o", str(folder / f"{index}.o")], job)

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return "".join(list(pool.map(compile_one, range(len(job.sources)))))


def _cpu_flags(job: BuildJob) -> tuple[str, ...]:
    """The board's core and FPU; of the FPU nothing where a library that is linked does without it."""
    board = require_board(job)
    if job.library is not None and not job.library.hard_float:
        board = board.model_copy(update={"fpu": "none"})
    return gnu_cpu_flags(board)


def _library_flags(job: BuildJob) -> tuple[str, ...]:
    if job.library is None:
        return ()
    folders = (part for folder in job.library.include_dirs for part in ("-isystem", str(folder)))
    return (*folders, *(f"-D{define}" for define in job.library.defines))


def _require_gcc() -> str:
    gcc = shutil.which(_GCC)
    if gcc is None:
        raise missing_tool(_GCC, _GCC_REMEDY)
    return gcc


@lru_cache
def _version(gcc: str) -> str:
    done = run_program([gcc, "-dumpfullversion"], deadline=VERSION_DEADLINE_S)
    if done.returncode != 0:
        raise MissingToolError(
            f"{_GCC} does not start: {done.stderr.strip() or 'no message'}", where=gcc, hint=_GCC_REMEDY
        )
    return done.stdout.strip()
