"""What a toolchain is asked to do, and what all of them do alike: run, report, leave nothing half-written."""

from __future__ import annotations

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ..boards.model import Board
from ..errors import BuildError, InputError, MissingToolError
from .process import Completed, run_program

__all__ = ["BUILD_DEADLINE_S", "BuildJob", "BuildResult", "Library", "Toolchain"]

BUILD_DEADLINE_S = 300.0
"""For one run of a compiler. A first build for a core takes seconds, so this only ends what hangs."""

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow")

OPTIMIZE = {"speed": "-O2", "size": "-Os"}

_LAST_LINES = 20
_COMPILER_ERROR = re.compile(r"^(?P<where>\S[^:\n]*:\d+(?::\d+)?): (?:fatal )?error: (?P<message>.+)$", re.MULTILINE)
_LINKER_ERROR = re.compile(
    r"^[^\n]*?(?P<message>undefined (?:reference|symbol)[^\n]*|region [^\n]*overflowed[^\n]*"
    r"|section [^\n]* will not fit[^\n]*|cannot find [^\n]*)$",
    re.MULTILINE,
)
_ANY_ERROR = re.compile(r"^[^\n]*?\berror: (?P<message>[^\n]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Library:
    """A C++ library that somebody else has built, with the headers to use it.

    Attributes:
        name: What it is and how it was built, for a result.
        archive: The `.a` file.
        include_dirs: Folders of its headers. Their warnings are not ours to read.
        defines: What its headers must see, because it was built with them.
        hard_float: Whether it passes floats in the FPU's registers. All that is linked with it must do the same.
    """

    name: str
    archive: Path
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]
    hard_float: bool


@dataclass(frozen=True)
class BuildJob:
    """What to build. Every path but `root` and `output` is relative to `root`, with forward slashes.

    Attributes:
        root: The project folder. Compilers run in it, so the same project gives the same bytes wherever it lies.
        sources: C files, in link order; C++ files (`.cpp`) too where a library needs them.
        include_dirs: Folders for `#include`.
        linker_script: For firmware; None for a program of this machine.
        board: Its core and FPU choose the code that is generated; None for a program of this machine.
        optimize: `speed` is -O2, `size` is -Os.
        output: Where the ELF goes; its folder is made.
        defines: `NAME` or `NAME=VALUE`.
        library: What else to link.
        flags: Further code generation options, behind all others so that they win.
    """

    root: Path
    sources: tuple[str, ...]
    include_dirs: tuple[str, ...]
    linker_script: str | None
    board: Board | None
    optimize: Literal["speed", "size"]
    output: Path
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    library: Library | None = None


@dataclass(frozen=True)
class BuildResult:
    """What was built, and with what.

    Attributes:
        flags: Code generation and link options, without paths and names of files.
        warnings: What the compiler said although it succeeded. A compiler that caches says it once.
    """

    elf: Path
    toolchain: str
    version: str
    flags: tuple[str, ...]
    warnings: str = ""


class Toolchain(ABC):
    """A C compiler and linker."""

    name: ClassVar[str]

    @abstractmethod
    def available(self) -> bool:
        """Whether it is installed. Starts no program."""

    @abstractmethod
    def version(self) -> str:
        """Its version, as it tells it. Raises MissingToolError when it is not installed."""

    @abstractmethod
    def build(self, job: BuildJob) -> BuildResult:
        """Compile and link; the output appears whole or not at all.

        Raises:
            MissingToolError: the toolchain, or a part of it that this job needs, is not installed.
            BuildError: the compiler failed or hangs. `where` is the file and line, the message its first error.
            InputError: a source does not exist, or the output cannot be written.
        """

    def _run(self, command: Sequence[str], job: BuildJob, environment: dict[str, str] | None = None) -> str:
        """Run one compiler command in the project folder. Returns what it said on stderr."""
        done = run_program(command, cwd=job.root, environment=environment, deadline=BUILD_DEADLINE_S)
        if done.timed_out:
            raise BuildError(
                f"{self.name} did not finish within {BUILD_DEADLINE_S:g} s",
                hint="run the command by hand to see where it hangs",
                command=done.command_line,
                output=last_lines(done.stderr),
            )
        if done.returncode != 0:
            raise self._failure(done)
        return done.stderr

    def _failure(self, done: Completed) -> BuildError:
        where, message = first_error(done.stderr)
        if not message:
            ending = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"returned {done.returncode}"
            message = f"{self.name} {ending} and gave no reason"
        return BuildError(
            message,
            where=where,
            hint="read the compiler's last lines; `tinyml doctor` checks the toolchain itself",
            command=done.command_line,
            output=last_lines(done.stderr),
        )


def first_error(output: str) -> tuple[str, str]:
    """The place (file and line, or empty) and text of the first error in what a compiler or linker printed."""
    if compiler := _COMPILER_ERROR.search(output):
        return compiler["where"], compiler["message"].strip()
    linker = _LINKER_ERROR.search(output) or _ANY_ERROR.search(output)
    return "", linker["message"].strip() if linker else ""


def last_lines(output: str) -> str:
    """The end of an output, short enough to show."""
    return "\n".join(output.rstrip().splitlines()[-_LAST_LINES:])


def common_flags(job: BuildJob, standard: str = "c99") -> tuple[str, ...]:
    """What every compiler here understands and every build gets."""
    return (f"-std={standard}", OPTIMIZE[job.optimize], *WARNINGS, "-ffunction-sections", "-fdata-sections", *job.flags)


def search_flags(job: BuildJob) -> tuple[str, ...]:
    """Include folders and definitions."""
    return (*(f"-I{folder}" for folder in job.include_dirs), *(f"-D{define}" for define in job.defines))


def require_board(job: BuildJob) -> Board:
    """The board of a firmware job, which a cross compiler cannot do without."""
    if job.board is None or job.linker_script is None:
        raise ValueError("a cross compiler builds firmware: the job needs a board and a linker script")
    return job.board


@contextmanager
def staged_output(job: BuildJob) -> Iterator[Path]:
    """A path in a temporary folder beside the output; what is written there moves into place if all goes well."""
    missing = [source for source in job.sources if not (job.root / source).is_file()]
    if missing:
        raise InputError("no such source file", where=str(job.root / missing[0]), hint="generate the project again")
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        # Beside the output, as only a move within one file system is atomic.
        stage = tempfile.TemporaryDirectory(prefix=".building-", dir=job.output.parent)
    except OSError as error:
        raise InputError(
            f"cannot write: {error.strerror}", where=str(job.output.parent), hint="choose another folder"
        ) from error
    with stage as folder:
        staged = Path(folder).resolve() / job.output.name
        yield staged
        staged.replace(job.output)


def missing_tool(what: str, remedy: str) -> MissingToolError:
    """The error for a compiler that is not there."""
    return MissingToolError(f"{what} is not installed", hint=remedy)
