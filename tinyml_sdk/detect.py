"""Which boards may be plugged in: USB ids of the ports, matched with the board files."""

from __future__ import annotations

from dataclasses import dataclass

from .boards import list_boards
from .link import PortInfo, list_ports

__all__ = ["DetectedPort", "detect_boards"]


@dataclass(frozen=True)
class DetectedPort:
    """A port that is plugged in.

    Attributes:
        boards: Names of the boards that have its USB id. Debug probes and serial chips are on many boards, so there may
            be several; none where no board file has it.
    """

    port: PortInfo
    boards: tuple[str, ...]


def detect_boards() -> tuple[DetectedPort, ...]:
    """All serial ports that are plugged in, by device, with the boards they may belong to.

    Raises:
        BoardError: a board file in one of the folders does not describe a board.
    """
    boards = list_boards()
    return tuple(
        DetectedPort(port, tuple(board.name for board in boards if port.usb is not None and port.usb in board.usb))
        for port in list_ports()
    )
