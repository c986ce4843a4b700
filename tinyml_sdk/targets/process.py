"""What emulators that are programs of their own have in common: a process, and its console on a socket."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import time
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ..errors import DeviceTimeoutError, TargetError
from .base import CounterInfo, Target

__all__ = ["EmulatorProcess", "ProcessTarget", "Watchdog", "await_status"]

_WRITE_DEADLINE_S = 20.0
_END_DEADLINE_S = 20.0


class Watchdog:
    """Kills a process once this one is gone, by SIGKILL too: an emulator would run one processor hot for ever.

    A shell of its own session that reads from a pipe. Linux's "parent death signal" follows the thread that started the
    process, which may end long before the work does.

    Args:
        process: What to kill.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _ || kill -9 "$1"', "watchdog", str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C and a terminal that closes are not for it
        )

    def end(self) -> None:
        """Let the process live. Call it before the process is waited for: then its number may be another's."""
        self._shell.communicate(b"\n")


class EmulatorProcess(ABC):
    """A running emulator, and the byte stream of its console.

    Attributes:
        where: The machine, for messages.
        console: The socket that the emulated UART is connected to.
        close: Ends the process; also when nobody calls it, as it would outlive this one.
    """

    where: str
    console: socket.socket
    close: weakref.finalize[Any, Any]

    def write(self, data: bytes) -> None:
        """Send to the console.

        Raises:
            DeviceTimeoutError: the firmware does not take it.
            TargetError: the emulator has ended.
        """
        self.console.settimeout(_WRITE_DEADLINE_S)
        try:
            self.console.sendall(data)
        except TimeoutError:
            raise DeviceTimeoutError(
                f"the firmware read nothing for {_WRITE_DEADLINE_S:g} s",
                where=self.where,
                hint="it may have crashed before its main loop",
            ) from None
        except OSError as error:
            raise self.ended() from error

    def read(self, deadline: float) -> bytes:
        """What has arrived, waiting until the deadline for the first byte.

        Raises:
            TargetError: the emulator has ended.
        """
        ready, _, _ = select.select([self.console], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b""
        try:
            data = self.console.recv(65536)
        except OSError as error:
            raise self.ended() from error
        if not data:
            raise self.ended()
        return data

    def drain(self) -> None:
        """Drop what has arrived."""
        while select.select([self.console], [], [], 0.0)[0]:
            if not self.console.recv(65536):
                return

    @abstractmethod
    def restart(self) -> None:
        """Reset the board, and drop what it has said before. What it has not read yet, it reads after the reset."""

    @abstractmethod
    def ended(self) -> TargetError:
        """Why the process is no longer there."""


def await_status(process: subprocess.Popen[bytes]) -> int | None:
    """The status of a process that has closed its end of a line, and so is about to end. None: it goes on."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_END_DEADLINE_S)
    return process.returncode


P = TypeVar("P", bound=EmulatorProcess)


class ProcessTarget(Target, Generic[P]):
    """A board in an emulator that is a program of its own.

    Its console loses nothing, but each byte takes the emulator's threads a few turns at the processor. Where many
    programs want one, that is seconds for a request: a repetition only makes the next one wait longer.

    Attributes:
        program: What messages call it.
        where: The machine, for messages.
        instructions_per_second: Of its own time, in which the board's counter is clocked.
    """

    counts = "instructions"
    retry_after = 2.0
    deadline = 30.0
    program: ClassVar[str]

    def __init__(self, where: str, instructions_per_second: float) -> None:
        self.where = where
        self.instructions_per_second = instructions_per_second
        self._elf: Path | None = None
        self._process: P | None = None

    def load(self, elf: Path) -> None:  # noqa: D102 - as in Target
        self.close()
        if not elf.is_file():
            raise TargetError("there is no such firmware", where=str(elf), hint="build it first")
        self._elf = elf.resolve()

    def open(self) -> P:  # noqa: D102
        if self._elf is None:
            raise TargetError("no firmware is loaded", where=self.where, hint="call load() before open()")
        self.close()
        self._process = self._start(self._elf)
        return self._process

    def reset(self) -> None:  # noqa: D102
        if self._process is None:
            raise TargetError(f"{self.program} is not running", where=self.where, hint="call open() before reset()")
        self._process.restart()

    def close(self) -> None:  # noqa: D102
        if self._process is not None:
            self._process.close()
            self._process = None

    def count(self, ticks: int, info: CounterInfo) -> int:  # noqa: D102
        return round(ticks * self.resolution(info))

    def resolution(self, info: CounterInfo) -> float:  # noqa: D102
        if info.counter_hz == 0:
            raise TargetError("the firmware has no counter", where=self.where, hint="give its board file a counter")
        return self.instructions_per_second / info.counter_hz

    @abstractmethod
    def _start(self, elf: Path) -> P:
        """The emulator with this firmware, running."""
