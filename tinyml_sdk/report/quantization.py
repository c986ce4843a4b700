"""The report of `tinyml quantize`."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..quantize import LayerNoise, QuantizationResult
from .console import add_column, bytes_of, figure, heading, name_cell, plain_table, score, shorten

__all__ = ["quantization_report"]

_KINDS = {"int8": "full int8", "int16": "int16 activations, int8 weights"}
_INT4 = "int4 weights, int8 activations"
_WEIGHTS_HEADING = "dB: signal-to-noise of its output for int4 alone, worst first"
_MOST_ROWS = 12
_METHODS = {"minmax": "min-max", "mse": "least mean squared error"}
_GRANULARITIES = {
    "per-channel": "per channel",
    "per-tensor": "per tensor",
    "per-tensor-dense": "per channel, dense layers per tensor",
}


def quantization_report(result: QuantizationResult) -> RenderableType:
    """Sizes, accuracy of both models, and the layers that lose most."""
    kind = _INT4 if result.weights == "int4" else _KINDS[result.activations]
    parts: list[RenderableType] = [heading(shorten(result.source, 40), kind), _facts(result)]
    if result.layer_weights:
        parts += [Text(), heading("Weights", _WEIGHTS_HEADING), _layer_weights(result)]
        more = len(result.layer_weights) - _MOST_ROWS
        if more > 0:
            parts.append(Text(f"and {more} more; --json has all of them"))
    if result.layers:
        parts += [Text(), heading("Signal-to-noise", "against the float model, worst layers first"), _noise(result)]
    elif result.not_run is not None:
        parts.append(Text(f"the converted model was not run: {result.not_run}"))
    else:
        parts.append(
            Text(f"the {result.weights} model was not run: pip install 'tinyml-sdk[reference]' (Linux on x86_64)")
        )
    return Group(*parts)


def _facts(result: QuantizationResult) -> Table:
    table = plain_table(header=False)
    add_column(table)
    add_column(table)
    method = _METHODS.get(result.method, f"percentile {result.percentile:g}" if result.percentile else result.method)
    table.add_row("weights", _GRANULARITIES[result.granularity] + _four_bits(result))
    table.add_row("ranges", f"{method} of {figure(result.calibration_samples)} samples{_clipped(result)}")
    if result.activations != "int8":
        table.add_row("runs on", "TensorFlow Lite Micro; tinyml's own kernels are int8 only")
    table.add_row("parameters", figure(result.parameters))
    table.add_row("MACs", figure(result.macs))
    packed = result.weight_bytes_for_size
    for_size = "" if packed is None else f", with --optimize size {figure(packed)}"
    entropy = f"{result.entropy_bits:.2f} bits of entropy each"
    table.add_row("weight bytes", f"{bytes_of(result.weight_bytes)}{for_size}, {entropy}")
    table.add_row("file", f"{bytes_of(result.file_bytes)}, {figure(result.gzip_bytes)} gzipped")
    if result.accuracy is not None:
        accuracy = result.accuracy
        int8 = "not measured" if accuracy.int8 is None else score(accuracy.metric, accuracy.int8)
        keras = score(accuracy.metric, accuracy.keras)
        kind = result.weights if result.weights != "int8" else result.activations
        table.add_row(accuracy.metric, f"float {keras}, {kind} {int8}, of {figure(accuracy.samples)} samples")
    return table


def _four_bits(result: QuantizationResult) -> str:
    if not result.layer_weights:
        return ""
    chosen = [layer for layer in result.layer_weights if layer.bits == 4]
    counts = [sum(layer.count for layer in layers) for layers in (chosen, result.layer_weights)]
    dense = result.granularity == "per-channel" and any(layer.op == "FULLY_CONNECTED" for layer in chosen)
    apart = ", dense int4 ones per tensor" if dense else ""
    return f"{apart}; {figure(counts[0])} of {figure(counts[1])} are int4"


def _layer_weights(result: QuantizationResult) -> Table:
    table = plain_table()
    add_column(table, "op")
    add_column(table, "layer", gives_way=True)
    add_column(table, "weights", "right")
    add_column(table, "dB", "right")
    add_column(table, "dtype")
    noisiest = sorted(result.layer_weights, key=lambda layer: math.inf if layer.snr_db is None else layer.snr_db)
    for layer in noisiest[:_MOST_ROWS]:
        decibels = "-" if layer.snr_db is None else f"{layer.snr_db:.1f}"
        dtype = f"int8: {layer.kept}" if layer.kept else "int4"
        table.add_row(layer.op, name_cell(shorten(layer.name, 40)), figure(layer.count), decibels, dtype)
    return table


def _clipped(result: QuantizationResult) -> str:
    ranges = result.ranges
    return f", {ranges.clipped} of {ranges.exact + ranges.tied} clipped" if ranges.clipped else ""


def _noise(result: QuantizationResult) -> Table:
    table = plain_table()
    add_column(table, "#", "right")
    add_column(table, "op")
    add_column(table, "layer", gives_way=True)
    add_column(table, "dB", "right")
    add_column(table, "added here", "right")
    for layer in result.worst_layers(5):
        table.add_row(
            str(layer.index), layer.op, name_cell(shorten(layer.name, 40)), f"{layer.snr_db:.1f}", _drop(layer)
        )
    return table


def _drop(layer: LayerNoise) -> str:
    """Decibels lost against its worst input; a layer may also average noise away."""
    return "-" if layer.drop_db is None else f"{max(layer.drop_db, 0.0):.1f}"
