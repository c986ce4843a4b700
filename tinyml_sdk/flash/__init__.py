"""Writing a firmware to a board, with the tool that its board file names.

Adding a tool is a class in `tools.py`, its keys in `boards/model.py`, and a line in `_FLASHERS`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..boards.model import Board, FlashTool
from ..errors import BoardError, InputError
from ..progress import Progress, unseen
from .base import Flasher, FlashJob
from .drive import Uf2Flasher
from .image import FlashImage, intel_hex, read_flash_image, uf2
from .tools import (
    EsptoolFlasher,
    OpenOcdFlasher,
    PicotoolFlasher,
    PlatformioFlasher,
    PyOcdFlasher,
    StFlashFlasher,
    TeensyLoaderFlasher,
)

__all__ = [
    "FlashImage",
    "FlashJob",
    "Flasher",
    "choose_flasher",
    "choose_way",
    "flash_image",
    "get_flasher",
    "intel_hex",
    "list_flashers",
    "read_flash_image",
    "uf2",
]

_FLASHERS: dict[str, Callable[[], Flasher]] = {
    "esptool": EsptoolFlasher,
    "pyocd": PyOcdFlasher,
    "openocd": OpenOcdFlasher,
    "st-flash": StFlashFlasher,
    "picotool": PicotoolFlasher,
    "uf2": Uf2Flasher,
    "teensy_loader": TeensyLoaderFlasher,
    "platformio": PlatformioFlasher,
}


def get_flasher(name: str) -> Flasher:
    """The flasher of that name, installed or not. Raises InputError where there is none."""
    if name not in _FLASHERS:
        raise InputError(f"no flash tool {name!r}", hint=f"choose one of {', '.join(_FLASHERS)}")
    return _FLASHERS[name]()


def list_flashers() -> tuple[str, ...]:
    """The names `get_flasher` knows."""
    return tuple(_FLASHERS)


def choose_way(board: Board, tool: str | None = None, project: Path | None = None) -> FlashTool:
    """How to flash a board: with that tool, or the first that its board file names. PlatformIO needs a project.

    Raises:
        BoardError: the board file names none, or not this one.
    """
    named = [way.tool for way in board.flash_with]
    if not named:
        raise BoardError(
            "its board file does not say how to flash it",
            where=board.name,
            hint="flash it with your own tool and use --no-flash, or add the key flash_with to the board file",
        )
    for way in board.flash_with:
        if way.tool == tool or (tool is None and (way.tool != "platformio" or project is not None)):
            return way
    if tool is None:
        return board.flash_with[0]
    raise BoardError(
        f"its board file does not say how to flash it with {tool}",
        where=board.name,
        hint=f"choose {' or '.join(named)}, or add {tool} to the key flash_with",
    )


def choose_flasher(board: Board, tool: str | None = None, project: Path | None = None) -> Flasher:
    """The flasher that `flash_image` will use, installed or not. Raises BoardError as `choose_way`."""
    return get_flasher(choose_way(board, tool, project).tool)


def flash_image(
    board: Board,
    image: Path,
    *,
    port: str | None = None,
    tool: str | None = None,
    project: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Write a firmware to the board and start it.

    Args:
        board: What it was built for.
        image: An ELF, or a .bin for the offset in the board file.
        port: A serial device, for tools that flash through one.
        tool: One of the board's tools; its first where None.
        project: A PlatformIO project, which the tool `platformio` uploads instead of the image.
        progress: Called with a stage, how much of it is done, and of how much.

    Returns:
        The name of the tool that was used.

    Raises:
        BoardError: the board file does not say how to flash.
        InputError: the image cannot be read, or a serial device is needed and not given.
        MissingToolError: the tool is not installed.
        FlashError: it failed: its command and last lines.
    """
    way = choose_way(board, tool, project)
    flasher = get_flasher(way.tool)
    with tempfile.TemporaryDirectory(prefix="tinyml-flash-") as folder:
        flasher.flash(FlashJob(board, way, image, port, project), Path(folder), progress or unseen)
    return way.tool
