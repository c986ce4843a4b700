"""What projects on a framework have in common: the application without its `main`, and the framework's port, flat."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from ...boards import Board
from ...errors import BoardError
from ..port_files import framework_port_files
from .base import Application, app_files, port_texts

__all__ = ["Framework", "framework_sources", "idf_target"]

Framework = Literal["arduino", "esp_idf"]


def framework_sources(framework: Framework, app: Application) -> dict[str, str]:
    """The application and the port of a framework, in one folder: file name → text."""
    port = port_texts(framework_port_files(framework))
    return {**app_files(app, main=False), **{PurePosixPath(name).name: text for name, text in port.items()}}


def idf_target(board: Board) -> str:
    """What ESP-IDF calls the chip, which esptool calls the same: `esp32c3`.

    Raises:
        BoardError: the board file does not say how esptool flashes it.
    """
    for way in board.flash_with:
        if way.chip is not None:
            return way.chip
    raise BoardError(
        "the chip's name for ESP-IDF is missing",
        where=f"{board.name}: flash_with",
        hint="add a line such as `- {tool: esptool, chip: esp32c3}`",
    )
