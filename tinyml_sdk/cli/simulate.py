"""`tinyml simulate`: an emulated board as a serial port."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .interrupt import raise_if_interrupted
from .options import (
    AppOption,
    BoardOption,
    FirmwareArgument,
    NoStreamsOption,
    OptimizeOption,
    RuntimeOption,
    TargetOption,
    TflmRootOption,
    ToolchainOption,
)
from .output import emit, note
from .progress import StageProgress

if TYPE_CHECKING:
    from ..codegen import Application, Optimize, Runtime

__all__ = ["simulate"]


def simulate(
    firmware: FirmwareArgument,
    board: BoardOption,
    target: TargetOption = None,
    link: Annotated[
        Path | None, typer.Option("--link", metavar="PATH", help="Make a link to the port here, the same each time.")
    ] = None,
    toolchain: ToolchainOption = None,
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    app: AppOption = "benchmark",
) -> None:
    """Run a board's firmware behind a serial port.

    Prints the path of a pseudo-terminal that looks like the board to any program, until Ctrl-C.
    """
    from ..boards import load_board
    from ..firmware import firmware_image
    from ..simulator import BoardSimulator
    from ..targets import open_target

    open_target(target, load_board(board)).close()  # a board that cannot run there is better known before building
    with tempfile.TemporaryDirectory() as folder:
        with StageProgress() as progress:
            elf = firmware_image(
                firmware,
                Path(folder) / "project",
                board=board,
                toolchain=toolchain,
                optimize=cast("Optimize", optimize),
                streams=not no_streams,
                runtime=cast("Runtime", runtime),
                tflm_root=tflm_root,
                app=cast("Application", app),
                progress=progress,
            )
        simulator = BoardSimulator(load_board(board), elf, target=target, link=link)
        try:
            emit(f"{link or simulator.path}\n")
            note(f"{board} runs in {simulator.target} behind this port; Ctrl-C ends it")
            simulator.serve(_go_on)
        finally:
            simulator.close()


def _go_on() -> bool:
    raise_if_interrupted()
    return True
