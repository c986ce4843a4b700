"""The report of `tinyml bench`: the verdict, what an inference costs, and where in the model it goes."""

from __future__ import annotations

from textwrap import wrap

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..bench.result import BenchResult
from .console import (
    Bar,
    add_column,
    bytes_of,
    figure,
    heading,
    name_cell,
    one_below_another,
    plain_table,
    share,
    shorten,
    significant,
)

__all__ = ["measurement_line", "measurement_report"]

BAR_WIDTH = 10
NAME_WIDTH = 14
REMARK_WIDTH = 40


def measurement_report(result: BenchResult) -> RenderableType:
    """A whole result, for a console of 80 columns or more."""
    parts: list[RenderableType] = [_headline(result), _verdict(result), Text(), _costs(result)]
    if result.layers:
        parts += [
            Text(),
            heading("Layers", f"{result.counter} of one inference, counted layer by layer"),
            _layers(result),
        ]
    return Group(*parts)


def measurement_line(result: BenchResult) -> str:
    """The result in one line, for logs."""
    return (
        f"{shorten(result.model.name, 40)} on {result.board}: {_verdict(result).plain}, "
        f"{figure(result.per_inference.median)} {result.counter}, "
        f"flash {bytes_of(result.flash.total)}, RAM {bytes_of(result.ram.total)}"
    )


def _headline(result: BenchResult) -> Group:
    toolchain = f"{result.toolchain.name} {result.toolchain.version}"
    alone = ", layer by layer" if result.streams is False else ""
    return Group(
        Text.assemble((shorten(result.model.file, 40), "bold"), " on ", (result.board, "bold"), f" ({result.core})"),
        Text(
            f"{result.runtime}, optimized for {result.optimize}{alone}, built by {toolchain}, "
            f"run by {result.target.name} {result.target.version}"
        ),
    )


def _verdict(result: BenchResult) -> Text:
    check = result.check
    reference = "the same C on this host" if check.reference == "host" else check.reference
    if check.bit_exact:
        return Text(f"bit exact with {reference} over {check.inputs:,} inputs", "bold green")
    return Text(
        f"NOT bit exact with {reference}: {check.differing:,} elements differ over {check.inputs:,} inputs",
        "bold red",
    )


def _costs(result: BenchResult) -> Table:
    """What it costs: name, figure, unit, remark. Indented figures are parts of the one above them."""
    inference, flash, ram = result.per_inference, result.flash, result.ram
    table = plain_table(header=False)
    add_column(table)
    add_column(table, "", "right")
    add_column(table)
    add_column(table, gives_way=True)

    def row(name: str, value: str, unit: str = "", remark: str = "", style: str = "") -> None:
        table.add_row(Text(name, style), Text(value, style), unit, name_cell(remark))

    row("per inference", figure(inference.median), result.counter, _spread(result), "bold")
    if result.model.macs:
        row(
            "per MAC",
            f"{inference.median / result.model.macs:.2f}",
            result.counter,
            f"{figure(result.model.macs)} MACs",
        )
    if result.counter_resolution > 1:
        row("counter step", significant(result.counter_resolution, 3), result.counter)
    if result.latency_us is not None:
        row("time", significant(result.latency_us / 1000), "ms", f"at {significant(result.clock_hz / 1e6)} MHz", "bold")
    if (estimate := result.estimated_cycles) is not None:
        at = f"{significant(estimate.milliseconds)} ms at {significant(result.clock_hz / 1e6)} MHz"
        row("estimated", figure(estimate.total), "cycles", f"{at}, without wait states")
        for line in wrap(estimate.expected_error, REMARK_WIDTH):
            row("", "", "", line)
    row("flash", figure(flash.total), "bytes", "of the whole benchmark firmware", "bold")
    row("  code", figure(flash.code))
    row("  weights", figure(flash.weights))
    if initial := flash.total - flash.code - flash.weights:
        row("  data", figure(initial), "", "initial values of variables")
    row("RAM", figure(ram.total), "bytes", "", "bold")
    row("  arena", figure(ram.arena), "", "inputs and outputs included")
    row("  static", figure(ram.static))
    row("  stack", figure(ram.stack_peak), "", "the most that was used")
    if (accuracy := result.accuracy) is not None:
        reference = f"reference {100 * accuracy.reference:.2f} %, {figure(accuracy.samples)} labelled inputs"
        row("accuracy", f"{100 * accuracy.device:.2f}", "%", reference, "bold")
    return table


def _spread(result: BenchResult) -> str:
    inference = result.per_inference
    if inference.min == inference.max:
        return f"the same in {figure(inference.runs)} runs"
    return f"{figure(inference.min)} to {figure(inference.max)} in {figure(inference.runs)} runs"


def _layers(result: BenchResult) -> Table:
    table = plain_table()
    add_column(table, "#", "right")
    add_column(table, "operator")
    add_column(table, result.counter, "right")
    add_column(table, "share", "right")
    add_column(table, width=BAR_WIDTH)
    add_column(table, "per MAC", "right")
    add_column(table, "output", gives_way=True)
    largest = max(layer.share for layer in result.layers) or 1.0
    for layer in result.layers:
        table.add_row(
            str(layer.index),
            Text(one_below_another(layer.op)),
            figure(layer.count),
            share(layer.share, 1),
            Bar(layer.share / largest, BAR_WIDTH),
            f"{layer.count / layer.macs:.2f}" if layer.macs else "-",
            name_cell((shorten(layer.name, NAME_WIDTH), "dim")),
        )
    return table
