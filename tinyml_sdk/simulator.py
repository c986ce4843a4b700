"""A board for programs that want a serial port: the real firmware in an emulator, behind a pseudo-terminal. POSIX."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .boards import Board
from .errors import InputError
from .link import ByteStream
from .targets import open_target

__all__ = ["BoardSimulator", "PtyBoard"]

_CHUNK = 4096
_QUIET_WAIT_S = 0.005
_FULL_WAIT_S = 0.2
"""A pseudo-terminal that nobody reads takes 4 KB; what comes then is lost, as on a cable with nobody at its end."""


class PtyBoard:
    """A byte stream behind a pseudo-terminal, which any program can open as a serial port.

    The terminal is there and raw from the beginning and stays when programs come and go. It has no modem lines.

    Args:
        stream: What answers at the other end.
        link: Where to put a link to the terminal, whose own path is another each time.

    Attributes:
        path: The terminal's device, `/dev/pts/3`.

    Raises:
        InputError: there is something else where the link should be, or it cannot be written.
    """

    def __init__(self, stream: ByteStream, link: Path | None = None) -> None:
        import tty

        self._stream = stream
        self._link = link
        # The second descriptor keeps the terminal alive while no program has it open.
        self._master, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._terminal)
        if link is not None:
            try:
                _make_link(link, self.path)
            except BaseException:
                self.close()
                raise

    def serve(self, step: Callable[[], bool]) -> None:
        """Carry bytes both ways until `step`, which is called many times a second, returns False.

        Raises:
            TargetError: the firmware crashed, or what runs it has ended.
        """
        wait = 0.0
        while step():
            arrived = b""
            if select.select([self._master], [], [], wait)[0]:
                with suppress(BlockingIOError):
                    arrived = os.read(self._master, _CHUNK)
                self._stream.write(arrived)
            answered = self._stream.read(time.monotonic() + _QUIET_WAIT_S)
            self._send(answered)
            wait = 0.0 if arrived or answered else _QUIET_WAIT_S

    def close(self) -> None:
        """Take the terminal and the link away: for programs that have it open, the cable is pulled. May be repeated."""
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self.path:
            self._link.unlink()
        for descriptor in (self._master, self._terminal):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._terminal = -1

    def _send(self, data: bytes) -> None:
        while data and select.select([], [self._master], [], _FULL_WAIT_S)[1]:
            with suppress(BlockingIOError):
                data = data[os.write(self._master, data) :]


class BoardSimulator:
    """An emulated board as a serial port. A context manager: in it, the board runs in a thread of its own.

    Args:
        board: Which board.
        elf: Its firmware.
        target: `builtin` or `qemu`; the first of them that has the board where None.
        link: A path for the port that is the same each time.

    Attributes:
        path: The port to open.
        target: The name of what runs it.
        error: What ended the firmware, if anything did.

    Raises:
        BoardError, MissingToolError, TargetError: the emulator cannot run the firmware.
        InputError: as for `PtyBoard`.
    """

    def __init__(self, board: Board, elf: Path, *, target: str | None = None, link: Path | None = None) -> None:
        self._target = open_target(target, board)
        self.target = self._target.name
        self._target.load(elf)
        try:
            self._pty = PtyBoard(self._target.open(), link)
        except BaseException:
            self._target.close()
            raise
        self.path = self._pty.path
        self.error: Exception | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"simulated {board.name}", daemon=True)

    def serve(self, step: Callable[[], bool]) -> None:
        """Run in this thread, see `PtyBoard.serve`; for those who do not enter the context."""
        self._pty.serve(step)

    def close(self) -> None:
        """Take the board away. May be repeated."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pty.close()
        self._target.close()

    def __enter__(self) -> BoardSimulator:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._pty.serve(lambda: not self._ending.is_set())
        except Exception as error:  # a firmware that crashes is silent from then on; whoever asks finds out why
            self.error = error


def _make_link(link: Path, target: str) -> None:
    try:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)
    except FileExistsError as error:
        raise InputError("is there already, and no link", where=str(link), hint="choose another path") from error
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", where=str(link), hint="choose another path") from error
