"""Putting a model's firmware on a board. What `tinyml flash` calls."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .boards import load_board
from .codegen import Application, Optimize
from .firmware import firmware_image
from .flash import Progress, flash_image, require_flasher
from .link.ports import resolve_port

__all__ = ["flash_firmware"]


def flash_firmware(
    firmware: str | Path,
    *,
    board: str | Path,
    port: str | None = None,
    tool: str | None = None,
    toolchain: str | None = None,
    optimize: Optimize = "speed",
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
        toolchain: What a model is built with.
        optimize: How a model is built.
        app: The application around a model, as for `generate`.
        progress: Called with a stage, how much of it is done, and of how much.

    Returns:
        The name of the tool that was used.

    Raises:
        ModelError, BoardError, FitError, BuildError: as for `build_firmware`.
        InputError: the image cannot be read, or a serial device is needed and not given.
        MissingToolError: the tool is not installed.
        TargetError: there is no such port.
        FlashError: the tool failed: its command and last lines.
    """
    chosen = load_board(board)
    given = Path(firmware)
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "project"
        # PlatformIO flashes what only its project knows: boot loader, partition table.
        project = given if given.is_dir() else built if toolchain == "platformio" else None
        require_flasher(chosen, tool, project)
        device = None if port is None else resolve_port(port, chosen.usb, chosen.name)
        if progress is not None:
            progress("building", 0, 1)
        image = firmware_image(given, built, board=board, toolchain=toolchain, optimize=optimize, app=app)
        return flash_image(chosen, image, port=device, tool=tool, project=project, progress=progress)
