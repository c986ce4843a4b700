"""`tinyml generate`: the model as C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import ModelArgument, OptimizeOption
from .output import show

if TYPE_CHECKING:
    from ..codegen import Optimize

__all__ = ["generate"]


def generate(
    model: ModelArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write: new, empty or generated before.")
    ],
    board: Annotated[
        str | None,
        typer.Option(
            "--board", "-b", metavar="BOARD", help="Name or file of a board: write a whole firmware project for it."
        ),
    ] = None,
    optimize: OptimizeOption = "speed",
) -> None:
    """Write C for a model.

    That is the model library alone, or with --board a whole firmware project. The same model always gives the same
    bytes.
    """
    from .. import firmware
    from ..report.firmware import generated_report

    written = firmware.generate(model, output, board=board, optimize=cast("Optimize", optimize))
    show(generated_report(written, output))
