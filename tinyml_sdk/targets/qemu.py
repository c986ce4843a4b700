"""QEMU as a target: a firmware on an emulated board, one instruction a nanosecond of its time."""

from __future__ import annotations

import contextlib
import json
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from ..boards.model import Board, QemuMachine
from ..errors import BoardError, DeviceTimeoutError, MissingToolError, TargetError
from .base import CounterInfo, Target

__all__ = ["QemuTarget"]

_PACKAGES = {"arm": "qemu-system-arm", "riscv32": "qemu-system-misc"}
"""Debian's packages with the program for each `system` of a board file."""

_REMEDY = "install QEMU again, or use --target builtin"
_START_DEADLINE_S = 20.0
_WRITE_DEADLINE_S = 20.0
_NANOSECONDS = 1e9


class QemuTarget(Target):
    """The board in QEMU.

    With `-icount shift=0` its clock advances one nanosecond an instruction, so whatever counts time on the board counts
    instructions there, in steps of its tick. Console and control connection are pairs of sockets that exist before
    QEMU starts: no byte of boot text is lost, and there is neither a port nor a file to be left behind.

    Raises:
        BoardError: QEMU has no machine for the board.
    """

    name = "qemu"
    counts = "instructions"

    def __init__(self, board: Board) -> None:
        if board.emulators.qemu is None:
            raise BoardError("QEMU has no machine for this board", where=board.name, hint="use --target builtin")
        self._machine = board.emulators.qemu
        remedy = f"apt-get install {_PACKAGES[self._machine.system]}"
        self._remedy = f"{remedy}, or use --target builtin" if board.emulators.builtin else remedy
        self._elf: Path | None = None
        self._process: _QemuProcess | None = None

    def version(self) -> str:  # noqa: D102 - as in Target
        return _version(self._require_qemu())

    def load(self, elf: Path) -> None:  # noqa: D102
        self.close()
        if not elf.is_file():
            raise TargetError("there is no such firmware", where=str(elf), hint="build it first")
        self._elf = elf

    def open(self) -> _QemuProcess:  # noqa: D102
        if self._elf is None:
            raise TargetError("no firmware is loaded", where=self._machine.machine, hint="call load() before open()")
        self.close()
        self._process = _QemuProcess(self._require_qemu(), self._machine, self._elf)
        return self._process

    def reset(self) -> None:  # noqa: D102
        if self._process is None:
            raise TargetError("QEMU is not running", where=self._machine.machine, hint="call open() before reset()")
        self._process.drain()
        self._process.control("system_reset")

    def close(self) -> None:  # noqa: D102
        if self._process is not None:
            self._process.close()
            self._process = None

    def count(self, ticks: int, info: CounterInfo) -> int:  # noqa: D102
        return round(ticks * self.resolution(info))

    def resolution(self, info: CounterInfo) -> float:  # noqa: D102
        if info.counter_hz == 0:
            raise TargetError(
                "the firmware has no counter", where=self._machine.machine, hint="give its board file a counter"
            )
        return _NANOSECONDS / info.counter_hz

    def _require_qemu(self) -> str:
        name = f"qemu-system-{self._machine.system}"
        program = shutil.which(name)
        if program is None:
            raise MissingToolError(f"{name} is not installed", hint=self._remedy)
        return program


class _QemuProcess:
    """A running QEMU, and the byte stream of its console."""

    def __init__(self, program: str, machine: QemuMachine, elf: Path) -> None:
        self._name = Path(program).name
        self._machine = machine.machine
        self._console, console_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        # A file and not a pipe, as nobody reads a pipe while the firmware runs.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as QEMU runs
        with console_end, control_end:
            self._process = subprocess.Popen(
                _command(program, machine, elf, console_end.fileno(), control_end.fileno()),
                pass_fds=(console_end.fileno(), control_end.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
            )
        # Also when nobody calls close(): QEMU would outlive this process, and run one processor hot.
        self.close = weakref.finalize(self, _end_process, self._process, (self._console, self._control, self._stderr))
        self._lines = b""
        try:
            self._reply("QMP")
            self.control("qmp_capabilities")
            self.control("cont")
        except BaseException:
            self.close()
            raise

    def write(self, data: bytes) -> None:
        """Send to the console. Raises DeviceTimeoutError when the firmware does not take it."""
        self._console.settimeout(_WRITE_DEADLINE_S)
        try:
            self._console.sendall(data)
        except TimeoutError:
            raise DeviceTimeoutError(
                f"the firmware read nothing for {_WRITE_DEADLINE_S:g} s",
                where=self._machine,
                hint="it may have crashed before its main loop",
            ) from None
        except OSError as error:
            raise self._ended() from error

    def read(self, deadline: float) -> bytes:
        """What has arrived, waiting until the deadline for the first byte. Raises TargetError when QEMU has ended."""
        ready, _, _ = select.select([self._console], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b""
        try:
            data = self._console.recv(65536)
        except OSError as error:
            raise self._ended() from error
        if not data:
            raise self._ended()
        return data

    def drain(self) -> None:
        """Drop what has arrived."""
        while select.select([self._console], [], [], 0.0)[0]:
            if not self._console.recv(65536):
                return

    def control(self, command: str) -> None:
        """Run one command of the QEMU Machine Protocol."""
        try:
            self._control.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError as error:
            raise self._ended() from error
        answer = self._reply("return", "error")
        if "error" in answer:
            raise TargetError(
                f"QEMU refused {command}: {answer['error'].get('desc', 'no reason')}",
                where=self._machine,
                hint="check the version of QEMU with `tinyml doctor`",
            )

    def _reply(self, *keys: str) -> dict[str, Any]:
        """The next message that has one of the keys; others are events."""
        deadline = time.monotonic() + _START_DEADLINE_S
        while True:
            line, newline, rest = self._lines.partition(b"\n")
            if newline:
                self._lines = rest
                message: dict[str, Any] = json.loads(line)
                if any(key in message for key in keys):
                    return message
                continue
            self._control.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                received = self._control.recv(65536)
            except TimeoutError:
                raise DeviceTimeoutError(
                    f"QEMU did not answer within {_START_DEADLINE_S:g} s", where=self._machine, hint=_REMEDY
                ) from None
            except OSError as error:
                raise self._ended() from error
            if not received:
                raise self._ended()
            self._lines += received

    def _ended(self) -> TargetError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and "warning:" not in line]
        return TargetError(
            f"QEMU has ended with status {self._process.returncode}: {said[-1] if said else 'no message'}",
            where=self._machine,
            hint=f"`{self._name} -M help` lists the machines this QEMU has; the firmware must fit the board",
        )


def _command(program: str, machine: QemuMachine, elf: Path, console: int, control: int) -> list[str]:
    return [
        *(program, "-M", machine.machine, "-kernel", str(elf)),
        *(("-cpu", machine.cpu) if machine.cpu else ()),
        *(("-bios", machine.bios) if machine.bios else ()),
        *("-icount", "shift=0", "-display", "none", "-nodefaults", "-S"),
        *("-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"),
    ]


def _end_process(process: subprocess.Popen[bytes], files: tuple[socket.socket | IO[bytes], ...]) -> None:
    if process.poll() is None:
        process.kill()  # there is nothing it would have to save
    process.wait()
    for file in files:
        file.close()


@lru_cache
def _version(program: str) -> str:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingToolError(f"QEMU does not start: {error}", where=program, hint=_REMEDY) from error
    found = re.search(r"version (\S+)", said)
    return f"QEMU {found[1]}" if found else said.splitlines()[0]
