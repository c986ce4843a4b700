"""`tinyml compare`: two results side by side, as a gate where a limit is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import RegressionError
from .options import JsonOption
from .output import STDOUT, check_destination, show, write_text

__all__ = ["compare"]


def _percentage(text: str) -> float:
    """`2%`, or `2`, as 0.02."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise typer.BadParameter(f"{text!r} is not a percentage such as 2%")
    return value / 100


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
    if regressions:
        grown = "; ".join(f"{cost.name} {cost.old:,} -> {cost.new:,} ({cost.growth:+.1%})" for cost in regressions)
        raise RegressionError(
            f"grew by more than {100 * max_regression:g} %: {grown}",
            where=str(new),
            hint="find the change with `git bisect`, or accept it by keeping the new result as the baseline",
        )
