"""QEMU as a target: a firmware on an emulated board, one instruction a nanosecond of its time."""

from __future__ import annotations

import json
import re
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
from .process import EmulatorProcess, ProcessTarget, Watchdog, await_status

__all__ = ["QemuTarget"]

_PACKAGES = {"arm": "qemu-system-arm", "riscv32": "qemu-system-misc"}
"""Debian's packages with the program for each `system` of a board file."""

_REMEDY = "install QEMU again, or use --target builtin"
_START_DEADLINE_S = 60.0
_NANOSECONDS = 1e9


class QemuTarget(ProcessTarget["_QemuProcess"]):
    """The board in QEMU.

    With `-icount shift=0` its clock advances one nanosecond an instruction, so whatever counts time on the board counts
    instructions there, in steps of its tick. Console and control connection are pairs of sockets that exist before
    QEMU starts: no byte of boot text is lost, and there is neither a port nor a file to be left behind.

    Raises:
        BoardError: QEMU has no machine for the board.
    """

    name = "qemu"
    program = "QEMU"

    def __init__(self, board: Board) -> None:
        if board.emulators.qemu is None:
            raise BoardError("QEMU has no machine for this board", where=board.name, hint="use --target builtin")
        self._machine = board.emulators.qemu
        remedy = f"apt-get install {_PACKAGES[self._machine.system]}"
        self._remedy = f"{remedy}, or use --target builtin" if board.emulators.builtin else remedy
        super().__init__(self._machine.machine, _NANOSECONDS)

    def version(self) -> str:  # noqa: D102 - as in Target
        return _version(self._require_qemu())

    def _start(self, elf: Path) -> _QemuProcess:
        return _QemuProcess(self._require_qemu(), self._machine, elf)

    def _require_qemu(self) -> str:
        name = f"qemu-system-{self._machine.system}"
        program = shutil.which(name)
        if program is None:
            raise MissingToolError(f"{name} is not installed", hint=self._remedy)
        return program


class _QemuProcess(EmulatorProcess):
    """A running QEMU, and the byte stream of its console."""

    def __init__(self, program: str, machine: QemuMachine, elf: Path) -> None:
        self._name = Path(program).name
        self.where = machine.machine
        self.console, console_end = socket.socketpair()
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
        files = (self.console, self._control, self._stderr)
        # Also when nobody calls close(): QEMU would outlive this process.
        self.close = weakref.finalize(self, _end_process, self._process, Watchdog(self._process), files)
        self._lines = b""
        try:
            self._reply("QMP")
            self.control("qmp_capabilities")
            self.control("cont")
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        self.control("stop")  # or the firmware may say something more while this drops what it has said
        self.drain()
        self.control("system_reset")
        self.control("cont")

    def control(self, command: str) -> None:
        """Run one command of the QEMU Machine Protocol."""
        try:
            self._control.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError as error:
            raise self.ended() from error
        answer = self._reply("return", "error")
        if "error" in answer:
            raise TargetError(
                f"QEMU refused {command}: {answer['error'].get('desc', 'no reason')}",
                where=self.where,
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
                    f"QEMU did not answer within {_START_DEADLINE_S:g} s", where=self.where, hint=_REMEDY
                ) from None
            except OSError as error:
                raise self.ended() from error
            if not received:
                raise self.ended()
            self._lines += received

    def ended(self) -> TargetError:
        status = await_status(self._process)
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and "warning:" not in line]
        return TargetError(
            f"QEMU has ended with status {status}: {said[-1] if said else 'no message'}",
            where=self.where,
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


def _end_process(
    process: subprocess.Popen[bytes], watchdog: Watchdog, files: tuple[socket.socket | IO[bytes], ...]
) -> None:
    process.kill()  # there is nothing it would have to save
    watchdog.end()
    process.wait()
    for file in files:
        file.close()


@lru_cache
def _version(program: str) -> str:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_START_DEADLINE_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingToolError(f"QEMU does not start: {error}", where=program, hint=_REMEDY) from error
    found = re.search(r"version (\S+)", said)
    return f"QEMU {found[1]}" if found else said.splitlines()[0]
