"""What all reports share: the console they are made for, plain tables, figures with units, names that fit.

Reports are read on a terminal, in a pipe and in a log, so they have no boxes, keep to 80 columns, and say in words
whatever they say in colour. Names come from model files: they are shown as `Text`, never as rich's markup, and
without characters that could steer a terminal.
"""

from __future__ import annotations

import math
from typing import Literal, TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

__all__ = [
    "Bar",
    "add_column",
    "bytes_of",
    "figure",
    "heading",
    "name_cell",
    "one_below_another",
    "plain_table",
    "render",
    "score",
    "share",
    "shorten",
    "significant",
    "sized",
]

PLAIN_WIDTH = 80
"""Columns where nothing says how wide the reader's screen is."""


def render(report: RenderableType, stream: TextIO, width: int | None = None) -> str:
    """A report as text for a stream: with colours only where the stream is a terminal.

    Args:
        report: What a report function returned.
        stream: Where the text will go. Nothing is written.
        width: Columns; the terminal's, or 80, where None. A narrower terminal wraps lines of 80: a cut figure is none.
    """
    if width is None and not stream.isatty():
        width = PLAIN_WIDTH
    console = Console(file=stream, width=width, highlight=False, emoji=False, markup=False)
    if width is None and console.width < PLAIN_WIDTH:
        console.width = PLAIN_WIDTH
    with console.capture() as capture:
        console.print(report)
    lines = capture.get().splitlines()
    return "".join(line.rstrip() + "\n" for line in lines)


def plain_table(*, header: bool = True) -> Table:
    """A table without lines."""
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=header, header_style="bold")


def add_column(
    table: Table,
    title: str = "",
    justify: Literal["left", "right"] = "left",
    *,
    width: int | None = None,
    least: int | None = None,
    gives_way: bool = False,
) -> None:
    """Add a column whose cells never wrap.

    Where a table is too wide, columns that give way are cut first, down to `least` columns, so that names are shortened
    before figures. Their cells must be made by `name_cell`.
    """
    table.add_column(title, justify=justify, no_wrap=not gives_way, overflow="ellipsis", width=width, min_width=least)


def name_cell(*parts: str | tuple[str, str]) -> Text:
    """A cell for a column that gives way, of texts or (text, style) pairs."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def one_below_another(operators: str) -> str:
    """The operators of a layer, each on a line of its own where there are several."""
    return operators.replace(" + ", "\n+ ")


def heading(title: str, detail: str = "") -> Text:
    """The line above a part of a report."""
    return Text.assemble((title, "bold"), f"  {detail}" if detail else "")


def figure(value: float) -> str:
    """A count with thousands separators."""
    return f"{value:,.0f}"


def bytes_of(value: int) -> str:
    """A size. Bytes are counted in full: a microcontroller's are few, and each is checked."""
    return f"{value:,} bytes"


def sized(value: int) -> str:
    """The size of a memory, in MB or KB of 1,024 where that is a whole number."""
    for unit, size in (("MB", 1 << 20), ("KB", 1 << 10)):
        if value and value % size == 0:
            return f"{value // size:,} {unit}"
    return bytes_of(value)


def share(part: float, whole: float) -> str:
    """A percentage of one decimal."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def score(metric: str, value: float) -> str:
    """A metric's value: per cent for shares, four digits for all others."""
    return f"{100 * value:.2f} %" if metric in ("accuracy", "balanced_accuracy") else significant(value)


def significant(value: float, digits: int = 4) -> str:
    """A number with so many significant digits, without an exponent where that is short."""
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)


def shorten(name: str, width: int) -> str:
    """A name in at most `width` characters: its end tells most, as converters prefix scopes and fuse lists of names.

    `model/conv2d/Relu;model/batch_norm/FusedBatchNormV3;…` keeps its first part, what cannot be printed becomes `?`.
    """
    first = "".join(character if character.isprintable() else "?" for character in name).split(";")[0]
    return first if len(first) <= width else "…" + first[len(first) - width + 1 :]


class Bar:
    """A bar of up to `width` columns for a share between 0 and 1; half columns where there is Unicode."""

    def __init__(self, value: float, width: int) -> None:
        self.value = value
        self.width = width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        halves = round(min(max(self.value, 0.0), 1.0) * self.width * 2)
        full, half = divmod(halves, 2)
        yield Text("#" * full if options.ascii_only else "█" * full + "▌" * half, style="cyan", no_wrap=True)
