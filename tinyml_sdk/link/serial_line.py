"""A serial port as a byte stream that outlives its cable: what vanishes may come back."""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import DeviceTimeoutError, PortBusyError, TargetError
from .ports import AUTO, held_error, holders, is_pty, open_error, resolve_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..boards.model import PortReset

__all__ = ["SerialLine"]

try:
    import termios

    _TERMIOS_ERROR: type[Exception] = termios.error
except ImportError:  # Windows
    _TERMIOS_ERROR = OSError

_FAILURES = (OSError, _TERMIOS_ERROR)
"""What a port raises that is not there any more. pyserial's own errors are OSErrors."""

_READ_SLICE_S = 0.05
_MOST_AT_ONCE = 65536
"""A program behind a pseudo-terminal may say more all the time."""

_WRITE_DEADLINE_S = 10.0
_BETWEEN_TRIES_S = 0.1
_BUSY_PATIENCE_S = 2.0
"""A port that has just appeared is looked at by ModemManager and udev for a moment."""

_RESET_PULSE_S = 0.1

_RESETS: dict[str, tuple[tuple[bool, bool], ...]] = {
    "none": (),
    # The falling edge of either line, through a capacitor, as on Arduino boards.
    "dtr_rts": ((False, False), (True, True)),
    # RTS pulls EN down and DTR would pull the boot strap down (esptool docs, "Boot Mode Selection").
    "esp": ((False, True), (False, False)),
}
"""For each way to reset a board the states of DTR and RTS, one after the other."""


class SerialLine:
    """An open serial port. A context manager.

    When the port vanishes (a cable, a reset of a board that is its own USB device), writes are dropped and reads
    return nothing until it is back; the client repeats its request. Bytes may be lost: frames take care of that.

    Args:
        port: A device path, a URL that pyserial knows, or `auto`.
        baud: Bits per second.
        usb: The board's USB ids, for `auto`; a port that vanishes may come back under another name.
        board: Its name, for errors.
        patience: Seconds to wait for a port that is not there yet.
        reopen_within: Seconds in which a port that vanished must be back. Less than the client's deadline, which would
            blame the firmware.

    Raises:
        TargetError: it cannot be opened, or somebody else holds it; on read and write: it vanished and did not return.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        *,
        usb: Sequence[str] = (),
        board: str = "",
        patience: float = 0.0,
        reopen_within: float = 8.0,
    ) -> None:
        self._wanted = port
        self._baud = baud
        self._usb = usb
        self._board = board
        self._reopen_within = reopen_within
        self._gone_since = 0.0
        self.device = port
        self._port: Any = self._open_within(patience)

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the port. May be called again."""
        if self._port is not None:
            with suppress(*_FAILURES):
                self._port.close()
        self._port = None

    def write(self, data: bytes) -> None:
        """Send all of it; dropped while the port is gone. Raises DeviceTimeoutError when nobody takes it."""
        import serial

        if self._port is None and not self._returned(time.monotonic()):
            return
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise DeviceTimeoutError(
                f"the port took no data for {_WRITE_DEADLINE_S:g} s",
                where=self.device,
                hint="nobody reads at the other end: reset the board, or plug it out and in again",
            ) from None
        except _FAILURES:
            self._lost()

    def read(self, deadline: float) -> bytes:
        """What has arrived, b"" if nothing, waiting for the first byte until `time.monotonic()` reaches deadline."""
        if self._port is None and not self._returned(deadline):
            return b""
        try:
            while True:
                data: bytes = self._port.read(1)  # waits for a slice of time
                if data:
                    while len(data) < _MOST_AT_ONCE and (waiting := self._port.in_waiting):
                        data += self._port.read(waiting)
                    return data
                if time.monotonic() >= deadline:
                    return b""
        except _FAILURES:
            self._lost()
            return b""

    def reset_board(self, how: PortReset) -> bool:
        """Reset the board with DTR and RTS.

        Returns:
            Whether the port has these lines; a pseudo-terminal or a socket has none.
        """
        steps = _RESETS[how]
        if self.device.startswith("socket:"):  # pyserial would take the lines and do nothing
            return False
        try:
            for turn, (dtr, rts) in enumerate(steps):
                if turn:
                    time.sleep(_RESET_PULSE_S)
                self._port.dtr, self._port.rts = dtr, rts
        except _FAILURES as error:
            if getattr(error, "errno", None) not in (errno.ENOTTY, errno.EINVAL):
                self._lost()
            return False
        return bool(steps)

    def set_baud(self, baud: int) -> None:
        """Change the speed, for those who look for the right one."""
        self._baud = baud
        if self._port is not None:
            self._port.baudrate = baud

    # -- opening --------------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        """Open the port, alone."""
        import serial

        self.device = resolve_port(self._wanted, self._usb, self._board)
        try:
            port = serial.serial_for_url(
                self.device, self._baud, timeout=_READ_SLICE_S, write_timeout=_WRITE_DEADLINE_S, exclusive=True
            )
        except (OSError, _TERMIOS_ERROR, ValueError) as error:
            raise open_error(self.device, error) from error
        # The lock keeps out only those who ask for it. Two readers take each other's bytes, whoever they are.
        others = holders(self.device) if self.device.startswith("/") else ()
        if others:
            port.close()
            raise held_error(self.device, others)
        return port

    def _open_within(self, patience: float) -> Any:
        """Try until it opens; a port that is busy always gets a second try."""
        start = time.monotonic()
        while True:
            try:
                return self._open()
            except TargetError as error:
                enough = max(patience, _BUSY_PATIENCE_S if isinstance(error, PortBusyError) else 0.0)
                if time.monotonic() - start >= enough:
                    raise
            time.sleep(_BETWEEN_TRIES_S)

    def _lost(self) -> None:
        self.close()
        self._gone_since = time.monotonic()

    def _returned(self, deadline: float) -> bool:
        """Whether a port that vanished is back, waiting for it until the deadline."""
        while True:
            try:
                self._port = self._open()
                return True
            except TargetError as error:
                gone = time.monotonic() - self._gone_since
                if gone >= self._reopen_within:
                    raise TargetError(
                        f"the port vanished and was not back after {self._reopen_within:g} s ({error.message})",
                        where=self._board if self._wanted == AUTO else self.device,
                        hint="check cable and power of the board; a USB hub that is overloaded drops its devices",
                    ) from error
            if time.monotonic() >= deadline:
                return False
            time.sleep(_BETWEEN_TRIES_S)

    @property
    def is_emulated(self) -> bool:
        """Whether a program is at the other end, as far as can be told."""
        return is_pty(self.device)
