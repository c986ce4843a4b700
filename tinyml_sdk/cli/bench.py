"""`tinyml bench`: build, run, compare, measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import (
    BoardOption,
    JsonOption,
    ModelArgument,
    NoStreamsOption,
    OptimizeOption,
    PortOption,
    RuntimeOption,
    TargetOption,
    TflmRootOption,
    ToolchainOption,
    ToolOption,
)
from .output import STDOUT, check_destination, emit, note, show, write_text
from .progress import StageProgress

if TYPE_CHECKING:
    from ..bench.samples import Samples
    from ..codegen import Optimize, Runtime

__all__ = ["bench"]


def bench(
    model: ModelArgument,
    board: BoardOption,
    target: TargetOption = None,
    port: PortOption = None,
    no_flash: Annotated[
        bool, typer.Option("--no-flash", help="With --port: the firmware is on the board already.")
    ] = False,
    tool: ToolOption = None,
    toolchain: ToolchainOption = None,
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    runtime: RuntimeOption = "aot",
    tflm_root: TflmRootOption = None,
    runs: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Inferences to count at the least.")] = 5,
    inputs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="An .npz file with inputs, and labels for accuracy.  [default: made-up inputs]"
        ),
    ] = None,
    json: JsonOption = None,
    project_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the generated project and the ELF here.")
    ] = None,
    elf: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --port: the firmware, if Arduino or a build of your own made it."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line of result, no progress.")] = False,
) -> None:
    """Run a model on a board, check its outputs, measure it.

    The board may be an emulated one, or with --port a real one on a cable. Every output byte is compared with
    TensorFlow Lite Micro's. Exits 1 when one differs.
    """
    from ..bench.benchmark import benchmark
    from ..bench.gate import check_bit_exact
    from ..report.measurement import measurement_line, measurement_report
    from ..report.samples import samples_report

    if port is not None and target is not None:
        raise typer.BadParameter("--port and --target exclude each other")
    if port is None and (no_flash or tool is not None):
        raise typer.BadParameter("--no-flash and --tool need --port")
    if elf is not None and port is None:
        raise typer.BadParameter("--elf needs --port; `tinyml simulate` gives an emulated board one")
    if elf is not None and (toolchain is not None or project_dir is not None):
        raise typer.BadParameter("--elf is a firmware that is built: it excludes --toolchain and --project-dir")
    check_destination(json)
    kept: list[Samples] = []
    with StageProgress(quiet=quiet) as progress:
        result = benchmark(
            model,
            board=board,
            target=target,
            toolchain=toolchain,
            optimize=cast("Optimize", optimize),
            streams=not no_streams,
            runtime=cast("Runtime", runtime),
            tflm_root=tflm_root,
            runs=runs,
            inputs=inputs,
            project_dir=project_dir,
            port=port,
            flash=not no_flash,
            tool=tool,
            elf=elf,
            progress=progress,
            on_samples=kept.append,
        )
    if json is not None:
        write_text(json, result.to_json())
    if json != STDOUT:
        if quiet:
            emit(measurement_line(result) + "\n")
        else:
            show(measurement_report(result))
            pictures = samples_report(kept[0]) if inputs is not None else None
            if pictures is not None:
                emit("\n")
                show(pictures)
    if not quiet:
        for what, path in (("project", project_dir), ("result", json)):
            if path is not None and path != STDOUT:
                note(f"{what}: {path}")
    check_bit_exact(result)
