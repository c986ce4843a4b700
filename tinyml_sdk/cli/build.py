"""`tinyml build`: the model as a firmware image."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .options import (
    AppOption,
    BoardOption,
    ModelArgument,
    NoStreamsOption,
    OptimizeOption,
    OutputOption,
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
    output: OutputOption,
    board: BoardOption,
    toolchain: ToolchainOption = None,
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    app: AppOption = "benchmark",
) -> None:
    """Compile a model's benchmark firmware for a board."""
    from ..firmware import build_firmware
    from ..report.firmware import firmware_report

    with StageProgress() as progress:
        firmware = build_firmware(
            model,
            output,
            board=board,
            toolchain=toolchain,
            optimize=cast("Optimize", optimize),
            streams=not no_streams,
            runtime=cast("Runtime", runtime),
            tflm_root=tflm_root,
            app=cast("Application", app),
            progress=progress,
        )
    show(firmware_report(firmware))
