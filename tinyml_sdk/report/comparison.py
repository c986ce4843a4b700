"""The report of `tinyml compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..bench.comparison import Comparison, Cost
from .console import add_column, figure, heading, plain_table, shorten

__all__ = ["comparison_json", "comparison_report"]


def comparison_report(comparison: Comparison) -> RenderableType:
    """Both results side by side, totals and layers, for a console of 80 columns or more."""
    new = comparison.new
    parts: list[RenderableType] = [
        Text.assemble((shorten(new.model.file, 40), "bold"), " on ", (new.board, "bold"), f" ({new.core})")
    ]
    if comparison.settings:
        parts.append(Text(f"not the same in both: {', '.join(comparison.settings)}", "yellow"))
    parts += [Text(), _table(comparison.totals)]
    if comparison.layers:
        parts += [Text(), heading("Layers", f"{new.counter} of one inference"), _table(comparison.layers)]
    elif comparison.old.layers and new.layers:
        parts += [Text(), Text("the layers are not the same in both: only totals are compared", "yellow")]
    return Group(*parts)


def comparison_json(comparison: Comparison, regressions: Sequence[Cost]) -> str:
    """The same as JSON, with the costs that grew too much by name."""
    data = {
        "schema": 1,
        "differs_in": list(comparison.settings),
        "costs": [
            {"name": cost.name, "old": cost.old, "new": cost.new, "growth": cost.growth}
            for cost in (*comparison.totals, *comparison.layers)
        ],
        "regressions": [cost.name for cost in regressions],
    }
    return json.dumps(data, indent=2) + "\n"


def _table(costs: Sequence[Cost]) -> Table:
    table = plain_table()
    add_column(table, "")
    for title in ("old", "new", "change", ""):
        add_column(table, title, "right")
    for cost in costs:
        difference = cost.new - cost.old
        style = "red" if difference > 0 else "green" if difference < 0 else ""
        percent = f"{100 * difference / cost.old:+.1f} %" if cost.old and difference else ""
        table.add_row(
            cost.name,
            figure(cost.old),
            figure(cost.new),
            Text(f"{difference:+,}" if difference else "same", style),
            Text(percent, style),
        )
    return table
