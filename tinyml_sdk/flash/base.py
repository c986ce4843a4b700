"""What a flash tool is asked to do, and what all of them do alike: prepare files, run commands, say what went wrong."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from ..boards.model import Board, FlashTool
from ..errors import FlashError, InputError, MissingToolError
from ..progress import Progress
from .run import run_with_progress

__all__ = ["CommandFlasher", "FlashJob", "Flasher", "Symptom"]


FLASH_DEADLINE_S = 300.0
"""For one command. A megabyte at 115,200 baud takes a minute and a half; this only ends what hangs."""

_LAST_LINES = 12


@dataclass(frozen=True)
class FlashJob:
    """What to write where.

    Attributes:
        way: The entry of the board file that is used.
        image: An ELF, or a .bin for the way's offset.
        port: A serial device; None where nobody named one.
        project: A PlatformIO project, for `platformio`.
    """

    board: Board
    way: FlashTool
    image: Path
    port: str | None = None
    project: Path | None = None

    @property
    def offset(self) -> int:
        """Where a plain binary goes."""
        return self.board.flash.origin if self.way.offset is None else self.way.offset


class Symptom(NamedTuple):
    """What a tool prints when one thing is wrong, and what to tell the user."""

    pattern: str
    message: str
    hint: str


class Flasher(ABC):
    """A way to write firmware.

    Attributes:
        needs_port: Whether it writes through the board's serial port.
        hides_port: Whether the board may have no serial port before, as it is in a boot loader that has none.
    """

    name: ClassVar[str]
    needs_port: ClassVar[bool] = False
    hides_port: ClassVar[bool] = False

    def require(self) -> None:  # noqa: B027 - a way that needs no program has nothing to do here
        """Raise MissingToolError where a program that this needs is not installed."""

    def require_port(self, board: Board, port: str | None) -> None:
        """Raise InputError where this flashes through a serial port, and none was named."""
        if self.needs_port and not port:
            raise InputError(
                f"{self.name} flashes through a serial port",
                where=board.name,
                hint="name it with --port, or --port auto",
            )

    @abstractmethod
    def flash(self, job: FlashJob, folder: Path, progress: Progress) -> None:
        """Write the firmware, with a folder for files on the way.

        Raises:
            InputError, MissingToolError, FlashError: as for `flash_image`.
        """


class CommandFlasher(Flasher):
    """A program that writes firmware. Its commands run in a folder that has the files they name."""

    program: ClassVar[str]
    module: ClassVar[str | None] = None
    remedy: ClassVar[str]
    symptoms: ClassVar[tuple[Symptom, ...]] = ()

    @abstractmethod
    def prepare(self, job: FlashJob, folder: Path) -> None:
        """Write the files that the commands name."""

    @abstractmethod
    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:
        """What to run, one after the other; each begins with `program`."""

    def require(self) -> None:  # noqa: D102 - as in Flasher
        self._launcher()

    def flash(self, job: FlashJob, folder: Path, progress: Progress) -> None:  # noqa: D102 - as in Flasher
        launcher = self._launcher()
        self.require_port(job.board, job.port)
        self.prepare(job, folder)
        stage = f"flashing with {self.name}"
        progress(stage, 0, 100)
        for command in self.commands(job):
            done = run_with_progress(
                [*launcher, *command[1:]],
                folder,
                FLASH_DEADLINE_S,
                lambda percent: progress(stage, percent, 100),
            )
            if done.timed_out or done.returncode != 0:
                ending = f"did not finish within {FLASH_DEADLINE_S:g} s" if done.timed_out else ""
                raise self._failure(job, done.command_line, ending or f"returned {done.returncode}", done.output)
        progress(stage, 100, 100)

    def _failure(self, job: FlashJob, command: str, ending: str, output: str) -> FlashError:
        last = "\n".join(output.rstrip().splitlines()[-_LAST_LINES:])
        for symptom in (*self.symptoms, *_COMMON_SYMPTOMS):
            if re.search(symptom.pattern, output, re.IGNORECASE):
                return FlashError(
                    symptom.message, where=job.board.name, hint=symptom.hint, command=command, output=last
                )
        return FlashError(
            f"{self.name} {ending}",
            where=job.board.name,
            hint="read its last lines above; run the command by hand to see more",
            command=command,
            output=last,
        )

    def _launcher(self) -> list[str]:
        """How the program is started: as itself, or as a module of this Python."""
        found = shutil.which(self.program)
        if found is not None:
            return [found]
        if self._module_exists():
            return [sys.executable, "-m", str(self.module)]
        raise MissingToolError(f"{self.program} is not installed", hint=self.remedy)

    def _module_exists(self) -> bool:
        return self.module is not None and importlib.util.find_spec(self.module) is not None


_COMMON_SYMPTOMS = (
    Symptom(
        r"permission denied|access denied|insufficient permissions|LIBUSB_ERROR_ACCESS|Errno 13",
        "this user may not use the port or probe",
        "join the group of serial ports (`sudo usermod -aG dialout $USER`, then log in anew), or install the udev "
        "rules that come with the tool",
    ),
    Symptom(
        r"port is busy|Errno 16|Could not exclusively lock|LIBUSB_ERROR_BUSY|device or resource busy",
        "another program holds the port or probe",
        "end it: a serial monitor, a debugger, another tinyml; `tinyml doctor --port PORT` names who holds a port",
    ),
)
