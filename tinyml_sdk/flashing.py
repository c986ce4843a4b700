"""Putting a model's firmware on a board. What `tinyml flash` calls."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .boards import Board, load_board
from .codegen import Application, Optimize, Runtime
from .errors import InputError
from .firmware import firmware_image
from .flash import Flasher, choose_flasher, flash_image, read_flash_image
from .link import SerialLine
from .progress import Progress

__all__ = ["flash_firmware"]


def flash_firmware(
    firmware: str | Path,
    *,
    board: str | Path,
    port: str | None = None,
    tool: str | None = None,
    toolchain: str | None = None,
    optimize: Optimize = "speed",
    streams: bool = True,
    runtime: Runtime = "aot",
    tflm_root: str | Path | None = None,
    app: Application = "benchmark",
    progress: Progress | None = None,
) -> str:
    """Write a firmware to a board and start it.

    Args:
        firmware: A .tflite file, which is built first; an ELF; a .bin for the offset in the board file; or the folder
            of a PlatformIO project.
        board: Name or file of the board.
        port: A serial device, or `auto` for the one that has the board's USB id, for tools that flash through one.
        tool: One of the board's flash tools; its first where None.
        toolchain, optimize, streams, runtime, tflm_root, app: How a model is built, as for `build_firmware`.
        progress: Called with a stage, how much of it is done, and of how much.

    Returns:
        The name of the tool that was used.

    Raises:
        ModelError, BoardError, FitError, BuildError: as for `build_firmware`.
        InputError: the image cannot be read, or a serial device is needed and not given.
        MissingToolError: the tool is not installed.
        TargetError: the port cannot be opened.
        FlashError: the tool failed: its command and last lines.
    """
    chosen = load_board(board)
    given = Path(firmware)
    _check_file(given)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "project"
        # PlatformIO flashes what only its project knows: boot loader, partition table.
        project = given if given.is_dir() else built if toolchain == "platformio" else None
        flasher = choose_flasher(chosen, tool, project)
        device = _check_port(port, chosen, flasher)
        flasher.require()
        image = firmware_image(
            given,
            built,
            board=board,
            toolchain=toolchain,
            optimize=optimize,
            streams=streams,
            runtime=runtime,
            tflm_root=tflm_root,
            app=app,
            progress=progress,
        )
        return flash_image(chosen, image, port=device, tool=tool, project=project, progress=progress)


def _check_file(given: Path) -> None:
    """Raise InputError where there is nothing to flash. What is wrong with a model is seen when it is built."""
    if not given.exists():
        raise InputError("there is no such file", where=str(given), hint="check the path")
    if given.is_file() and given.suffix.lower() != ".tflite":
        read_flash_image(given, 0)


def _check_port(port: str | None, board: Board, flasher: Flasher) -> str | None:
    """The device to flash through, once it is known to open: what is wrong with it is named before anything is built.

    Raises:
        InputError, TargetError: as for `flash_firmware`.
    """
    flasher.require_port(board, port)
    if port is None or flasher.hides_port:
        return None
    with SerialLine(port, board.console.baud, usb=board.usb, board=board.name) as line:
        return line.device
