"""`tinyml inspect`: what a model is made of and what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import JsonOption, ModelArgument, NoStreamsOption, OptimizeOption
from .output import STDOUT, check_destination, show, write_text
from .progress import StageProgress

if TYPE_CHECKING:
    from ..codegen import Optimize

__all__ = ["inspect"]


def inspect(
    model: ModelArgument,
    board: Annotated[
        str | None,
        typer.Option("--board", "-b", metavar="BOARD", help="Name or file of a board: does the model fit it?"),
    ] = None,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="Explain why each layer has its kernel, and not another.")
    ] = False,
    optimize: OptimizeOption = "speed",
    no_streams: NoStreamsOption = False,
    json: JsonOption = None,
) -> None:
    """Show a model's layers, cost and memory plan.

    Builds nothing. With --board it chooses that core's kernels, and exits 1 when the model does not fit.
    """
    from ..firmware import inspect_model
    from ..plan import check_fit
    from ..report.inspection import inspection_json, inspection_report, kernels_report

    check_destination(json)
    with StageProgress() as progress:
        inspection = inspect_model(model, board, cast("Optimize", optimize), streams=not no_streams, progress=progress)
    if json is not None:
        write_text(json, inspection_json(inspection))
    if json != STDOUT:
        show(kernels_report(inspection) if kernels else inspection_report(inspection))
    if inspection.board is not None:
        check_fit(inspection.board, inspection.plan.arena_bytes, inspection.weight_bytes)
