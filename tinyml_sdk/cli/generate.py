"""`tinyml generate`: the model as C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import (
    AppOption,
    ModelArgument,
    NoStreamsOption,
    OptimizeOption,
    OutputOption,
    RuntimeOption,
    TflmRootOption,
    one_of,
)
from .output import show
from .progress import StageProgress

if TYPE_CHECKING:
    from ..codegen import Application, Emulator, Optimize, ProjectKind, Runtime

__all__ = ["generate"]

PROJECTS = ("baremetal", "cmake", "platformio", "esp_idf", "arduino")


def generate(
    model: ModelArgument,
    output: OutputOption,
    board: Annotated[
        str | None,
        typer.Option(
            "--board", "-b", metavar="BOARD", help="Name or file of a board: write a whole firmware project for it."
        ),
    ] = None,
    project: Annotated[
        str,
        typer.Option(
            metavar="|".join(PROJECTS),
            callback=one_of(*PROJECTS),
            help="Whose habits the firmware project follows. `tinyml boards show BOARD` lists a board's.",
        ),
    ] = "baremetal",
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    app: AppOption = "benchmark",
    emulator: Annotated[
        str | None,
        typer.Option(
            metavar="renode",
            callback=one_of("renode"),
            help="Add the files that this emulator runs the firmware with.  [default: none]",
        ),
    ] = None,
) -> None:
    """Write C for a model.

    That is the model library alone, or with --board a whole firmware project. The same model always gives the same
    bytes.
    """
    if board is None and (app != "benchmark" or emulator is not None):
        needs = "--app" if emulator is None else "--emulator"
        raise typer.BadParameter(f"{needs} needs --board: without one, only the model library is written")
    from .. import firmware
    from ..report.firmware import generated_report

    with StageProgress() as progress:
        written = firmware.generate(
            model,
            output,
            board=board,
            project=cast("ProjectKind", project),
            optimize=cast("Optimize", optimize),
            streams=not no_streams,
            runtime=cast("Runtime", runtime),
            tflm_root=tflm_root,
            app=cast("Application", app),
            emulator=cast("Emulator | None", emulator),
            progress=progress,
        )
    show(generated_report(written, output))
