"""A board on a serial port: flashed, reset, waited for, and read from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from ..boards.model import Board
from ..errors import DeviceTimeoutError, ProtocolError, TargetError
from ..flash import choose_flasher, flash_image
from ..link import Client, SerialLine
from ..progress import Progress
from .base import CounterInfo, Target

__all__ = ["SerialTarget", "Silence", "explain_silence", "request_seconds"]

_BOOT_DEADLINE_S = 10.0
_AFTER_FLASH_PATIENCE_S = 10.0
"""A board that is its own USB device is away for a moment after it was flashed."""

_FRAME_BITS = 10 * 266
"""The longest frame on the line, with start and stop bits."""

_DOWNLOAD_MODE = re.compile(rb"waiting for download|DOWNLOAD\(|boot:0x[0-7]\b.*DOWNLOAD", re.IGNORECASE)
_MLPERF = re.compile(rb"m-ready|m-init-done|e-\[")


def request_seconds(baud: int) -> float:
    """After how many seconds an unanswered request is repeated: three times what two frames take, at least 0.3 s.

    USB adapters hold bytes back for up to 16 ms, and a device checks a frame's CRC for some.
    """
    return max(0.3, 6 * _FRAME_BITS / baud)


class SerialTarget(Target):
    """A real board, or anything that looks like one, on a serial port.

    `load` flashes with the tool of the board file, `open` opens the port, resets the board where its port can do that,
    and waits until the application answers; boot text is skipped. The counter's ticks are real time, unless a
    pseudo-terminal tells that a program is at the other end.

    Args:
        board: What is plugged in.
        port: A device path, a URL that pyserial knows (`socket://host:port`), or `auto`.
        flash: Whether `load` writes the firmware, or trusts that it is there.
        tool: One of the board's flash tools; its first where None.
        project: A PlatformIO project, for the tool `platformio`.
        progress: Called with a stage, how much of it is done, and of how much.

    Raises:
        TargetError: the port cannot be opened, or `auto` fits none or several.
        BoardError, MissingToolError: the board cannot be flashed, and `flash` is on.
    """

    name = "serial"
    counts = "cycles"

    def __init__(
        self,
        board: Board,
        port: str,
        *,
        flash: bool = True,
        tool: str | None = None,
        project: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._board = board
        self._port = port
        self._tool = tool
        self._project = project
        self._progress = progress
        self._line: SerialLine | None = None
        self._flashed = b""  # digest of what is on the board
        self.retry_after = request_seconds(board.console.baud)
        self._flasher = choose_flasher(board, tool, project) if flash else None
        # What is wrong with the port, which is likelier, or the tool is better known before minutes of building.
        if self._flasher is None or not self._flasher.hides_port:
            self._open_line().close()
        self._line = None
        if self._flasher is not None:
            self._flasher.require()

    @property
    def emulated(self) -> bool:  # noqa: D102 - as in Target
        return self._line is not None and self._line.is_emulated

    def version(self) -> str:
        """Where the board is, and how its port is set."""
        what = self._line.device if self._line is not None else self._port
        return f"{what}, {self._board.console.baud} baud" + (", a pseudo-terminal" if self.emulated else "")

    def load(self, elf: Path) -> None:
        """Flash the firmware, unless it has just been, or `flash` is off.

        Raises:
            BoardError, InputError, MissingToolError, FlashError: as for `flash_image`.
        """
        if self._flasher is None:
            return
        digest = hashlib.sha256(elf.read_bytes()).digest() if elf.is_file() else b"none"
        if digest == self._flashed:
            return
        device = None if self._flasher.hides_port else self._open_line().device
        self.close()  # the tool wants the port for itself
        flash_image(self._board, elf, port=device, tool=self._tool, project=self._project, progress=self._progress)
        self._flashed = digest

    def open(self) -> SerialLine:
        """Open the port and wait for the application.

        Raises:
            TargetError: the port cannot be opened, or the application does not answer; says what was heard instead.
        """
        self.close()
        line = self._open_line(_AFTER_FLASH_PATIENCE_S if self._flashed else 0.0)
        line.reset_board(self._board.reset)
        client = Client(line, retry_after=self.retry_after, deadline=_BOOT_DEADLINE_S)
        try:
            self._wait_for_application(client)
        except DeviceTimeoutError as error:
            self.close()
            why = explain_silence(error.received, self._board.console.baud, line.device)
            raise DeviceTimeoutError(
                f"{why.reason} (waited {_BOOT_DEADLINE_S:g} s)",
                where=line.device,
                hint=why.hint,
                received=error.received,
            ) from error
        return line

    def reset(self) -> None:
        """Reset the board with DTR and RTS. Raises TargetError where its port cannot."""
        if self._line is None or not self._line.reset_board(self._board.reset):
            raise TargetError(
                "this port cannot reset the board",
                where=self._port,
                hint="press its reset button, or ask the firmware: `Client.reset`",
            )

    def close(self) -> None:  # noqa: D102 - as in Target
        if self._line is not None:
            self._line.close()
        self._line = None

    def count(self, ticks: int, info: CounterInfo) -> int:  # noqa: D102
        return round(ticks * self.resolution(info))

    def resolution(self, info: CounterInfo) -> float:  # noqa: D102
        if info.counter_hz == 0:
            raise TargetError("the firmware has no counter", where=self._port, hint="give its board file a counter")
        return info.clock_hz / info.counter_hz

    def _wait_for_application(self, client: Client) -> None:
        """Wait until the firmware answers. One that crashed some time before is started again, once."""
        try:
            client.info()
        except (DeviceTimeoutError, ProtocolError):
            raise
        except TargetError:
            client.reset()

    def _open_line(self, patience: float = 0.0) -> SerialLine:
        self.close()
        board = self._board
        self._line = SerialLine(self._port, board.console.baud, usb=board.usb, board=board.name, patience=patience)
        return self._line


class Silence(NamedTuple):
    """Why a board does not answer, and what to do."""

    reason: str
    hint: str


def explain_silence(received: bytes, baud: int, device: str) -> Silence:
    """Why a board may not have answered at a speed, from what it said instead."""
    if not received:
        return Silence(
            "the board says nothing",
            "is its firmware one that tinyml built (flash it, or leave out --no-flash)? Is this the port of its "
            "console? Press its reset button",
        )
    if _DOWNLOAD_MODE.search(received):
        return Silence(
            "the chip waits in its boot loader for a download",
            "release the BOOT button and press RESET, so that it starts the firmware",
        )
    if _MLPERF.search(received):
        return Silence(
            "the firmware speaks MLPerf Tiny's protocol",
            "it was built with --app mlperf, for that benchmark's runner; flash one without",
        )
    if _is_text(received):
        return Silence(
            "another firmware answers, or this one does not get past its start",
            "read what it says; flash the firmware that tinyml built",
        )
    return Silence(
        "what comes is neither text nor the protocol",
        f"the board file says {baud:,} baud: `tinyml doctor --port {device}` tries others",
    )


def _is_text(data: bytes) -> bool:
    readable = sum(byte in b"\t\r\n\x1b" or 32 <= byte < 127 for byte in data)
    return readable >= 0.9 * len(data)
