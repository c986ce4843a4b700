"""`tinyml flash`: a firmware onto a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .options import (
    AppOption,
    BoardOption,
    FirmwareArgument,
    NoStreamsOption,
    OptimizeOption,
    PortOption,
    RuntimeOption,
    TflmRootOption,
    ToolchainOption,
    ToolOption,
)
from .output import note
from .progress import StageProgress

if TYPE_CHECKING:
    from ..codegen import Application, Optimize, Runtime

__all__ = ["flash"]


def flash(
    firmware: FirmwareArgument,
    board: BoardOption,
    port: PortOption = None,
    tool: ToolOption = None,
    toolchain: ToolchainOption = None,
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    app: AppOption = "benchmark",
) -> None:
    """Write a firmware to a board and start it.

    With the tool that the board file names: esptool, pyOCD, OpenOCD, st-flash, picotool, a UF2 drive, the Teensy
    loader or PlatformIO.
    """
    from ..flashing import flash_firmware

    with StageProgress() as progress:
        used = flash_firmware(
            firmware,
            board=board,
            port=port,
            tool=tool,
            toolchain=toolchain,
            optimize=cast("Optimize", optimize),
            streams=not no_streams,
            runtime=cast("Runtime", runtime),
            tflm_root=tflm_root,
            app=cast("Application", app),
            progress=progress,
        )
    note(f"flashed {firmware.name} to {board} with {used}")
