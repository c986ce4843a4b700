"""Arguments and options that several commands share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AppOption",
    "BoardOption",
    "FirmwareArgument",
    "JsonOption",
    "MetricOption",
    "ModelArgument",
    "NoStreamsOption",
    "OptimizeOption",
    "OutputOption",
    "PortOption",
    "RuntimeOption",
    "TargetOption",
    "TflmRootOption",
    "ToolOption",
    "ToolchainOption",
    "one_of",
]


def one_of(*choices: str) -> Callable[[str | None], str | None]:
    """A callback that accepts the choices only, and for another value names them and the one that was meant.

    None, an option that was not given and has no default, passes.
    """

    def check(value: str | None) -> str | None:
        if value is None or value in choices:
            return value
        close = difflib.get_close_matches(value.lower(), choices, n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}{meant}")

    return check


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An int8 .tflite file.", show_default=False)]
FirmwareArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FIRMWARE", help="A .tflite file, to be built first, or a firmware (.elf).", show_default=False
    ),
]
BoardOption = Annotated[
    str,
    typer.Option(
        "--board", "-b", metavar="BOARD", help="Name of a board (see `tinyml boards`) or path of a board file."
    ),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write: new, empty or generated before.")
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        metavar="builtin|qemu|renode",
        callback=one_of("builtin", "qemu", "renode"),
        help="The builtin emulator, an installed QEMU or Renode.  [default: the first that has the board]",
    ),
]
PortOption = Annotated[
    str | None,
    typer.Option(
        "--port",
        "-p",
        metavar="PORT",
        help="Serial port of a board: a device, socket://host:port, or auto: the one with the board's USB id.",
    ),
]
ToolOption = Annotated[
    str | None,
    typer.Option(
        "--tool", metavar="TOOL", help="Which of the board's flash tools to use.  [default: the first in its file]"
    ),
]
ToolchainOption = Annotated[
    str | None,
    typer.Option(
        metavar="zig|gnu_arm|platformio",
        callback=one_of("zig", "gnu_arm", "platformio"),
        help="Compiler: zig, a wheel; gnu_arm, an installed arm-none-eabi-gcc; or PlatformIO.  "
        "[default: zig; gnu_arm for runtime tflm]",
    ),
]
NoStreamsOption = Annotated[
    bool,
    typer.Option("--no-streams", help="Run every layer alone, none row by row with others: a larger arena, less code."),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        metavar="aot|tflm",
        callback=one_of("aot", "tflm"),
        help="What runs the model: C generated for it, or TensorFlow Lite Micro's interpreter.",
    ),
]
TflmRootOption = Annotated[
    Path | None,
    typer.Option(
        "--tflm-root",
        metavar="DIR",
        envvar="TFLM_ROOT",
        show_envvar=False,
        help="For runtime tflm: a TFLM tree whose Makefile has made its library.  [default: $TFLM_ROOT]",
    ),
]
OptimizeOption = Annotated[
    str,
    typer.Option(
        metavar="speed|size",
        callback=one_of("speed", "size"),
        help="Kernels specialised for each layer, or shared between layers.",
    ),
]
AppOption = Annotated[
    str,
    typer.Option(
        metavar="benchmark|mlperf",
        callback=one_of("benchmark", "mlperf"),
        help="What the firmware answers: `tinyml bench`, or MLPerf Tiny's runner.",
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - writes it to stdout, and nothing else."),
]
MetricOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        callback=one_of("accuracy", "balanced_accuracy", "f1", "auc", "mae", "mse"),
        help="Judge by accuracy, balanced_accuracy, f1, auc, mae or mse.",
    ),
]
