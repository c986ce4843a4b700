"""`tinyml build`: the model as a firmware image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import (
    AppOption,
    BoardOption,
    ModelArgument,
    OptimizeOption,
    RuntimeOption,
    TflmRootOption,
    ToolchainOption,
)
from .output import show
from .progress import StageProgress

if TYPE_CHECKING:
    from ..codegen import Application, Optimize, Runtime

__all__ = ["build"]


def build(
    model: ModelArgument,
    board: BoardOption,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write: new, empty or generated before.")
    ],
    toolchain: ToolchainOption = None,
    optimize: OptimizeOption = "speed",
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    app: AppOption = "benchmark",
) -> None:
    """Compile a model's benchmark firmware for a board."""
    from ..firmware import build_firmware
    from ..report.firmware import firmware_report

    with StageProgress() as progress:
        progress("building", 0, 1)
        firmware = build_firmware(
            model,
            output,
            board=board,
            toolchain=toolchain,
            optimize=cast("Optimize", optimize),
            runtime=cast("Runtime", runtime),
            tflm_root=tflm_root,
            app=cast("Application", app),
        )
    show(firmware_report(firmware))
