"""A line to a device: bytes out, bytes in."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from ..errors import TargetError

__all__ = ["ByteStream", "SubprocessStream"]

CHUNK_BYTES = 65536
END_DEADLINE_S = 20.0
STDERR_TAIL_BYTES = 4000


class ByteStream(Protocol):
    """What the client needs of a serial port, an emulator's console or a pipe.

    The bytes may be lost, changed or joined by others on the way: the frames on top of them take care of that. Both
    methods raise TargetError when the line is gone for good.
    """

    def write(self, data: bytes) -> None:
        """Send all of it."""

    def read(self, deadline: float) -> bytes:
        """What has arrived, b"" if nothing, waiting for the first byte until `time.monotonic()` reaches deadline."""


class SubprocessStream:
    """A program's stdin and stdout as a line, for benchmark applications that are built for the host.

    A context manager: leaving it ends the program. POSIX, as it waits for a pipe with select.

    Args:
        command: The program and its arguments.

    Raises:
        TargetError: the program cannot be started; on read and write, it has ended: with its status and last words.
    """

    def __init__(self, command: Sequence[str | os.PathLike[str]]) -> None:
        self._name = os.fspath(command[0])
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the program runs
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0
            )
        except OSError as error:
            self._stderr.close()
            raise TargetError(
                f"cannot be started: {error.strerror}", where=self._name, hint="build the firmware for the host first"
            ) from error

    def __enter__(self) -> SubprocessStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Send all of it. Raises TargetError when the program has ended."""
        assert self._process.stdin is not None
        try:
            view = memoryview(data)
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except OSError as error:
            raise self._ended() from error

    def read(self, deadline: float) -> bytes:
        """What has arrived by the deadline, b"" if nothing. Raises TargetError when the program has ended."""
        assert self._process.stdout is not None
        wait = max(0.0, deadline - time.monotonic())
        if not select.select([self._process.stdout], [], [], wait)[0]:
            return b""
        data = os.read(self._process.stdout.fileno(), CHUNK_BYTES)
        if not data:
            raise self._ended()
        return data

    def close(self) -> None:
        """End the program. May be called again."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._stderr.close()

    def _ended(self) -> TargetError:
        try:
            status = str(self._process.wait(timeout=END_DEADLINE_S))
        except subprocess.TimeoutExpired:
            status = "unknown"
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_TAIL_BYTES))
        said = self._stderr.read().decode("utf-8", "replace").strip()
        message = f"the program ended with status {status}" + (f", saying:\n{said}" if said else "")
        return TargetError(message, where=self._name, hint="run it by itself, or in a debugger, to see why")
