"""`tinyml compare`: two results side by side, as a gate where a limit is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, RegressionError
from .options import JsonOption
from .output import STDOUT, check_destination, show, write_text

__all__ = ["compare"]


def _percentage(text: str) -> float:
    from ..bench.gate import parse_percentage

    try:
        return parse_percentage(text)
    except InputError as error:
        raise typer.BadParameter(error.message) from error


def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A result of `tinyml bench --json`.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A newer one.", show_default=False)],
    max_regression: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            parser=_percentage,
            help="Exit 1 when a total or a layer costs this much more, for instance 2%.  [default: only show]",
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Show what changed between two results.

    With a limit it is a gate: exits 1, naming what grew, or when the new outputs are not bit exact. A layer of less
    than 1 % of an inference is allowed to grow as if it had 1 %.
    """
    from ..bench.comparison import compare_results, load_result
    from ..bench.gate import check_growth
    from ..report.comparison import comparison_json, comparison_report

    check_destination(json)
    comparison = compare_results(load_result(old), load_result(new))
    regressions = comparison.regressions(max_regression) if max_regression is not None else ()
    if json is not None:
        write_text(json, comparison_json(comparison, regressions))
    if json != STDOUT:
        show(comparison_report(comparison))
    if max_regression is None:
        return
    if not comparison.new.check.bit_exact:
        raise RegressionError("the outputs are not bit exact", where=str(new), hint="run `tinyml bench` to see where")
    check_growth(comparison, max_regression, where=str(new))
