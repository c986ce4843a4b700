"""Renode as a target: a firmware on a board of its own, the console on a port of this machine.

Written from Renode's sources (1.16: src/UI/Options.cs, ServerSocketTerminal.cs) and run against a stand-in only, as
Renode could not be installed where this was written.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from functools import lru_cache
from pathlib import Path
from typing import IO

from ..boards.model import Board
from ..codegen.renode import renode_platform, renode_run_script
from ..errors import BoardError, MissingToolError, TargetError
from .process import EmulatorProcess, ProcessTarget, Watchdog, await_status

__all__ = ["RenodeTarget"]

_PROGRAM = "renode"
_REMEDY = "install it from https://renode.io and put it on the PATH, or use another --target"
_START_DEADLINE_S = 60.0
_QUIT_DEADLINE_S = 15.0
_POLL_S = 0.05


class RenodeTarget(ProcessTarget["_RenodeProcess"]):
    """The board in Renode, headless. Its monitor is the process's standard input.

    Each instruction takes one cycle of the board's clock, so whatever counts cycles on the board counts instructions
    there.

    Raises:
        BoardError: Renode does not know the board.
    """

    name = "renode"
    program = "Renode"

    def __init__(self, board: Board) -> None:
        if board.emulators.renode is None:
            raise BoardError("Renode does not know this board", where=board.name, hint="use another --target")
        super().__init__(board.name, board.clock_hz)
        self._board = board

    def version(self) -> str:  # noqa: D102 - as in Target
        return _version(_require_renode())

    def _start(self, elf: Path) -> _RenodeProcess:
        return _RenodeProcess(_require_renode(), self._board, elf)


class _RenodeProcess(EmulatorProcess):
    """A running Renode, and the byte stream of its console."""

    def __init__(self, program: str, board: Board, elf: Path) -> None:
        self.where = board.name
        folder = tempfile.TemporaryDirectory(prefix="tinyml-renode-")
        platform, script = Path(folder.name) / "board.repl", Path(folder.name) / "run.resc"
        port = _free_port()
        platform.write_text(renode_platform(board), encoding="utf-8")
        script.write_text(renode_run_script(board, elf, platform, port), encoding="utf-8")
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as Renode runs
        self._process = subprocess.Popen(
            [program, "--disable-gui", "--console", "--plain", str(script)],
            stdin=subprocess.PIPE,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        # Also when nobody calls close(): Renode would outlive this process.
        self.close = weakref.finalize(self, _end_process, self._process, Watchdog(self._process), self._said, folder)
        try:
            self.console = self._connect(port)
            self.monitor("start")
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        self.drain()
        self.monitor("machine Reset")

    def monitor(self, command: str) -> None:
        """Type a command into its monitor."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise self.ended() from error

    def _connect(self, port: int) -> socket.socket:
        """The console, which is there once the script has run. A file that is wrong shows in what Renode prints."""
        deadline = time.monotonic() + _START_DEADLINE_S
        console = _connected(port)
        while console is None:
            if self._process.poll() is not None:
                raise self.ended()
            if time.monotonic() > deadline:
                raise TargetError(
                    f"Renode opened no console within {_START_DEADLINE_S:g} s: {self._last_line()}",
                    where=self.where,
                    hint="check the version of Renode; the script was written for 1.16",
                )
            time.sleep(_POLL_S)
            console = _connected(port)
        return console

    def ended(self) -> TargetError:
        status = await_status(self._process)
        return TargetError(
            f"Renode has ended with status {status}: {self._last_line()}",
            where=self.where,
            hint="`renode --version` must work; the script was written for 1.16",
        )

    def _last_line(self) -> str:
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "no message"


def _connected(port: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", port))
    except OSError:
        return None


def _free_port() -> int:
    """A port that nobody listens on. Another program may take it meanwhile; then Renode says so and ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _end_process(
    process: subprocess.Popen[bytes], watchdog: Watchdog, said: IO[bytes], folder: tempfile.TemporaryDirectory[str]
) -> None:
    """Ask it to quit, as its launcher is a script that would leave it behind."""
    if process.poll() is None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.communicate(b"quit\n", timeout=_QUIT_DEADLINE_S)
    watchdog.end()
    if process.poll() is None:
        process.kill()
    process.wait()
    said.close()
    folder.cleanup()


def _require_renode() -> str:
    program = shutil.which(_PROGRAM)
    if program is None:
        raise MissingToolError("renode is not installed", hint=_REMEDY)
    return program


@lru_cache
def _version(program: str) -> str:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_START_DEADLINE_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingToolError(f"Renode does not start: {error}", where=program, hint=_REMEDY) from error
    lines = [line for line in said.splitlines() if line.strip()]
    return f"Renode {lines[0].removeprefix('Renode').strip(' ,v')}" if lines else "Renode"
