"""A compiler for this machine: the generated C as a program or library of the host."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Literal

from ..errors import MissingToolError
from .base import BuildJob, BuildResult, Toolchain, common_flags, missing_tool, search_flags, staged_output
from .process import VERSION_DEADLINE_S, run_program
from .zig import find_zig, zig_cache

__all__ = ["HostToolchain"]

_REMEDY = 'apt-get install gcc, or pip install "tinyml-sdk[zig]"'


class HostToolchain(Toolchain):
    """`cc`, `gcc` or `clang` from the PATH, else `zig cc`. Of a job, the board and linker script are not looked at.

    Args:
        output: What to build: a program, or a library to load with ctypes.
        sanitizers: For `-fsanitize=`, such as `("address", "undefined")`; the first finding ends the program.
            Zig has no run-time library for them and is left out.
    """

    name = "host"

    def __init__(self, output: Literal["executable", "library"] = "executable", sanitizers: Sequence[str] = ()) -> None:
        self._output = output
        self._sanitizers = tuple(sanitizers)

    def available(self) -> bool:  # noqa: D102 - as in Toolchain
        return self._find() is not None

    def version(self) -> str:  # noqa: D102
        return _version(self._require())

    def build(self, job: BuildJob) -> BuildResult:  # noqa: D102
        compiler = self._require()
        flags = (*common_flags(job), *self._output_flags(), *self._sanitizer_flags())
        if len(compiler) > 1:
            # The cache may be shared with an older machine: no instructions that only this one has.
            flags += ("-mcpu=baseline", "-fno-sanitize=undefined")
        with staged_output(job) as staged:
            command = [*compiler, *flags, *search_flags(job), *job.sources, "-lm", "-o", str(staged)]
            with zig_cache() if len(compiler) > 1 else nullcontext() as environment:
                warnings = self._run(command, job, environment)
        return BuildResult(job.output, self.name, _version(compiler), flags, warnings)

    def _output_flags(self) -> tuple[str, ...]:
        return ("-shared", "-fPIC") if self._output == "library" else ()

    def _sanitizer_flags(self) -> tuple[str, ...]:
        if not self._sanitizers:
            return ()
        return f"-fsanitize={','.join(self._sanitizers)}", "-fno-sanitize-recover=all", "-g"

    def _find(self) -> tuple[str, ...] | None:
        for name in ("cc", "gcc", "clang"):
            if program := shutil.which(name):
                return (program,)
        zig = None if self._sanitizers else find_zig()
        return (zig, "cc") if zig else None

    def _require(self) -> tuple[str, ...]:
        compiler = self._find()
        if compiler is None:
            raise missing_tool("a C compiler for this machine", "apt-get install gcc" if self._sanitizers else _REMEDY)
        return compiler


@lru_cache
def _version(compiler: tuple[str, ...]) -> str:
    done = run_program([*compiler, "--version"], deadline=VERSION_DEADLINE_S)
    if done.returncode != 0:
        raise MissingToolError(
            f"the C compiler does not start: {done.stderr.strip() or 'no message'}",
            where=" ".join(compiler),
            hint=_REMEDY,
        )
    return done.stdout.splitlines()[0].strip()
