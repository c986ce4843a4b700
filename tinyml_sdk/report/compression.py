"""The report of `tinyml compress`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..compress import CompressionResult, StageReport
from ..quantize import Weights
from .console import add_column, figure, heading, name_cell, plain_table, score, shorten

__all__ = ["compression_report", "stage_header", "stage_row"]


def compression_report(result: CompressionResult) -> RenderableType:
    """What the model costs and how well it does after each stage, and what stages had to leave alone."""
    judged = "held out of the training data" if result.held_out else "of validation data"
    parts: list[RenderableType] = [
        heading(shorten(result.source, 40), f"{figure(result.samples[1])} samples {judged}"),
        _costs(result),
        Text(),
        heading("Quality", f"of the float model, and of the {result.quantized.weights} model in TensorFlow Lite Micro"),
        _quality(result),
    ]
    notes = list(dict.fromkeys(line for stage in result.stages for line in _notes(stage)))  # a stage may come twice
    if notes:
        parts += [Text(), heading("Left alone"), *(Text(line) for line in notes)]
    return Group(*parts)


_STAGE_ROW = "{:<14} {:>10} {:>11} {:>10} {:>10} {:>8} {:>8}"


def stage_header(weights: Weights) -> str:
    """The names of what `stage_row` says, for models with int8 or int4 weights."""
    return _STAGE_ROW.format("after", "not zero", "MACs", "weights, B", "gzipped, B", "float", weights)


def stage_row(stage: StageReport, metric: str) -> str:
    """A stage in a line of its own, to be shown as soon as it is over."""
    cost = stage.cost
    counts = (cost.nonzero_parameters, cost.macs, cost.weight_bytes, cost.gzip_bytes)
    int8 = "-" if cost.accuracy.int8 is None else score(metric, cost.accuracy.int8)
    return _STAGE_ROW.format(stage.name, *map(figure, counts), score(metric, cost.accuracy.keras), int8)


def _costs(result: CompressionResult) -> Table:
    table = plain_table()
    add_column(table, "after")
    for title in ("parameters", "not zero", "MACs", "weights, B", "gzipped, B", "bits"):
        add_column(table, title, "right")
    for stage in result.stages:
        cost = stage.cost
        table.add_row(
            stage.name,
            figure(cost.parameters),
            figure(cost.nonzero_parameters),
            figure(cost.macs),
            figure(cost.weight_bytes),
            figure(cost.gzip_bytes),
            f"{cost.entropy_bits:.2f}",
        )
    return table


def _quality(result: CompressionResult) -> Table:
    table = plain_table()
    add_column(table, "after")
    add_column(table, f"{result.metric}, float", "right")
    add_column(table, result.quantized.weights, "right")
    add_column(table, "epochs", "right")
    add_column(table, "seconds", "right")
    add_column(table, "noisiest layer", gives_way=True)
    for stage in result.stages:
        accuracy = stage.cost.accuracy
        table.add_row(
            stage.name,
            score(result.metric, accuracy.keras),
            "-" if accuracy.int8 is None else score(result.metric, accuracy.int8),
            "-" if stage.training is None else str(stage.training.epochs),
            f"{stage.seconds:.0f}",
            _noisiest(stage),
        )
    return table


def _noisiest(stage: StageReport) -> Text:
    if not stage.cost.worst_layers:
        return Text("-")
    worst = stage.cost.worst_layers[0]
    return name_cell(f"{worst.snr_db:.1f} dB {shorten(worst.name, 20)}")


def _notes(stage: StageReport) -> Iterator[str]:
    """Layers that a stage did not touch, and why: one line for each reason."""
    reasons: dict[str, list[str]] = {}
    for entry in (*stage.details.get("locked", ()), *stage.details.get("left", ())):
        reasons.setdefault(entry["reason"], []).append(entry["layer"])
    for reason, layers in reasons.items():
        yield f"{stage.name}: {shorten(', '.join(layers), 40)}: {reason}"
