"""The report of `tinyml inspect`: layers, totals, the memory plan, and whether the model fits a board."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..boards import Board
from ..firmware import Inspection
from ..graph import Quantization, Tensor
from ..plan import Fit, MemoryPlan
from .console import (
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
    sized,
)
from .facts import LayerFacts, layer_facts

__all__ = ["inspection_json", "inspection_report", "kernels_report"]

SCHEMA = 1
NAME_WIDTH = 18


def inspection_report(inspection: Inspection) -> RenderableType:
    """Everything known of a model, for a console of 80 columns or more."""
    graph = inspection.graph
    parts: list[RenderableType] = [
        Text.assemble(
            (shorten(graph.source, 60), "bold"), f"  {bytes_of(graph.file_bytes)}, sha256 {graph.sha256[:12]}…"
        ),
        _ports(inspection),
        *_removed(inspection),
        Text(),
        _layer_table(inspection),
        Text(),
        _memory(inspection),
    ]
    if inspection.board is not None and inspection.fit is not None:
        parts += [Text(), _fit(inspection.board, inspection.fit)]
    return Group(*parts)


def inspection_json(inspection: Inspection) -> str:
    """The same as JSON, sizes in bytes. `fit` is null unless a board was named."""
    graph, plan, fit = inspection.graph, inspection.plan, inspection.fit
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "model": {
            "file": graph.source,
            "sha256": graph.sha256,
            "name": graph.name,
            "bytes": graph.file_bytes,
            "macs": inspection.macs,
            "ops": len(inspection.layers),
            "weights": inspection.weight_bytes,
            "removed_channels": inspection.removed_channels,
            "fused_ops": inspection.fused_ops,
        },
        "inputs": [_port_facts(tensor) for tensor in graph.input_tensors],
        "outputs": [_port_facts(tensor) for tensor in graph.output_tensors],
        "layers": [asdict(layer) for layer in layer_facts(inspection)],
        "arena": {
            "bytes": plan.arena_bytes,
            "lower_bound": plan.lower_bound,
            "live_bytes": plan.live_bytes,
            "optimal": plan.optimal,
            "before_streams": inspection.arena_before_streams,
            "peak_layer": plan.peak_layer,
            "peak": [asdict(buffer) for buffer in plan.peak],
        },
        "board": inspection.board.name if inspection.board else None,
        "fit": {"ok": fit.ok, **asdict(fit)} if fit else None,
    }
    return json.dumps(facts, indent=2) + "\n"


def _port_facts(tensor: Tensor) -> dict[str, Any]:
    single = tensor.quantization is not None and not tensor.quantization.per_channel
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "dtype": tensor.dtype.value,
        "scale": tensor.scale if single else None,
        "zero_point": tensor.zero_point if single else None,
    }


# -- inputs and outputs -------------------------------------------------------------------------------------------


def _ports(inspection: Inspection) -> Table:
    table = plain_table(header=False)
    for _ in range(4):
        add_column(table)
    for kind, tensors in (("input", inspection.graph.input_tensors), ("output", inspection.graph.output_tensors)):
        for tensor in tensors:
            table.add_row(
                Text(kind),
                Text(_shape(tensor.shape, tensor.dtype.value)),
                Text(_quantization(tensor.quantization)),
                Text(shorten(tensor.name, 32), "dim"),
            )
    return table


def _removed(inspection: Inspection) -> list[Text]:
    lines = []
    if fused := inspection.fused_ops:
        what = "1 op is part of another" if fused == 1 else f"{figure(fused)} ops are part of others"
        lines.append(Text(f"fused    {what}: paddings and activations"))
    if inspection.removed_channels:
        lines.append(Text(f"removed  {figure(inspection.removed_channels)} channels that are the same for every input"))
    return lines


def _shape(shape: tuple[int, ...], dtype: str) -> str:
    return f"{'x'.join(map(str, shape)) or 'scalar'} {dtype}"


def _quantization(quantization: Quantization | None) -> str:
    if quantization is None:
        return "-"
    if quantization.per_channel:
        return f"{len(quantization.scale)} scales"
    return f"{significant(quantization.scale[0])} @ {quantization.zero_point[0]}"


# -- layers -------------------------------------------------------------------------------------------------------


def _layer_table(inspection: Inspection) -> Table:
    """Two lines a layer: the operator above its kernel, the output above its name, activations above weights."""
    table = plain_table()
    layers = layer_facts(inspection)
    add_column(table, "#", "right")
    add_column(table, "operator", least=max(len(facts.op) for facts in layers), gives_way=True)
    longest = max(len(_shape(facts.shape, facts.dtype)) for facts in layers)
    add_column(table, "output", least=longest, gives_way=True)
    add_column(table, "scale @ zero")
    add_column(table, "MACs", "right")
    add_column(table, "weights", "right")
    table.columns[1].footer = Text("total")
    table.columns[4].footer = Text(figure(inspection.macs))
    table.columns[5].footer = Text(figure(inspection.weight_bytes))
    table.show_footer = True
    table.footer_style = "bold"
    for facts in layers:
        table.add_row(
            str(facts.index),
            name_cell(one_below_another(facts.op), "\n", (_kernel(facts), "dim")),
            name_cell(_shape(facts.shape, facts.dtype), "\n", (shorten(facts.name, NAME_WIDTH), "dim")),
            Text.assemble(_activation_scale(facts), "\n", (_weights_quantization(facts), "dim")),
            figure(facts.macs) if facts.macs else "-",
            figure(facts.weight_bytes) if facts.weight_bytes else "-",
        )
    return table


def _kernel(facts: LayerFacts) -> str:
    if facts.stream is not None:
        return "row by row"
    return facts.kernel.removeprefix("tinyml_") if facts.kernel else "nothing to do"


def _activation_scale(facts: LayerFacts) -> str:
    return "-" if facts.scale is None else f"{significant(facts.scale)} @ {facts.zero_point}"


def _weights_quantization(facts: LayerFacts) -> str:
    if not facts.weight_scales:
        return ""
    return f"{facts.weight_scales} weight scales" if facts.weight_scales > 1 else "1 weight scale"


def kernels_report(inspection: Inspection) -> RenderableType:
    """Why each layer is computed as it is: the kernels that were considered, the taken one first."""
    table = plain_table()
    add_column(table, "#", "right")
    add_column(table, "operator")
    add_column(table, "kernel")
    add_column(table, "estimate", "right")
    add_column(table, "", gives_way=True)
    parts = [part for facts in layer_facts(inspection) for part in (facts.stream.layers if facts.stream else (facts,))]
    for facts in parts:
        if not facts.choices:
            kernel = facts.kernel.removeprefix("tinyml_") if facts.kernel else "nothing to do"
            table.add_row(str(facts.index), Text(facts.op), Text(kernel), "-", Text("the only one", "dim"))
        for row, choice in enumerate(sorted(facts.choices, key=lambda choice: not choice.taken)):
            table.add_row(
                str(facts.index) if row == 0 else "",
                Text(facts.op if row == 0 else ""),
                Text(choice.kernel.removeprefix("tinyml_"), "" if choice.taken else "dim"),
                Text("-" if choice.cost is None else figure(choice.cost), "" if choice.taken else "dim"),
                Text(choice.reason, "dim"),
            )
    core = f"for {inspection.board.core}" if inspection.board else "portable: name a --board for those of its core"
    return Group(heading("Kernels", f"{core}; estimates in instructions"), table)


# -- memory -------------------------------------------------------------------------------------------------------


def _memory(inspection: Inspection) -> Group:
    plan = inspection.plan
    table = plain_table(header=False)
    add_column(table)
    add_column(table, "", "right")
    add_column(table)
    table.add_row("arena", bytes_of(plan.arena_bytes), Text(_verdict(plan), "green" if plan.optimal else ""))
    table.add_row("lower bound", bytes_of(plan.lower_bound), "for any placement of these layers in this order")
    table.add_row("live at the peak", bytes_of(plan.live_bytes), "what a planner without overlaps needs")
    table.add_row("weights", bytes_of(inspection.weight_bytes), "in flash")
    if inspection.arena_before_streams is not None:
        saved = inspection.arena_before_streams - plan.arena_bytes
        table.add_row(
            "layer by layer", bytes_of(inspection.arena_before_streams), f"row by row saves {bytes_of(saved)}"
        )
    layer = inspection.layers[plan.peak_layer].op
    return Group(
        heading("Memory"),
        table,
        *_streams(inspection),
        Text(),
        heading("Alive at the peak", f"layer {layer.index}, {layer.name}"),
        _peak(plan),
    )


def _streams(inspection: Inspection) -> list[RenderableType]:
    """Of each stream, what of the tensors between its layers is in memory at a time."""
    streams = [(facts, facts.stream) for facts in layer_facts(inspection) if facts.stream is not None]
    if not streams:
        return []
    table = plain_table()
    for title in ("layers", "step"):
        add_column(table, title)
    for title in ("rows kept", "bytes", "of"):
        add_column(table, title, "right")
    add_column(table, "tensor", gives_way=True)
    for _, stream in streams:
        first, last = stream.layers[0].index, stream.layers[-1].index
        for place, kept in enumerate(stream.kept):
            table.add_row(
                f"{first} to {last}" if place == 0 else "",
                f"{stream.rows_at_once} row{'s' if stream.rows_at_once > 1 else ''}" if place == 0 else "",
                f"{kept.rows} of {kept.height}",
                figure(kept.bytes),
                figure(kept.whole),
                name_cell((shorten(kept.name, NAME_WIDTH), "dim")),
            )
    return [Text(), heading("Row by row", "layers that run together, and what is kept between them"), table]


def _verdict(plan: MemoryPlan) -> str:
    if plan.optimal:
        return "optimal: no smaller arena exists"
    gap = plan.arena_bytes - plan.lower_bound
    return f"{bytes_of(gap)} ({share(gap, plan.lower_bound)}) over the lower bound"


def _peak(plan: MemoryPlan) -> Table:
    table = plain_table()
    add_column(table, "offset", "right")
    add_column(table, "bytes", "right")
    add_column(table, "tensor")
    for buffer in plan.peak:
        table.add_row(figure(buffer.offset), figure(buffer.bytes), Text(shorten(buffer.name, 56)))
    return table


# -- board --------------------------------------------------------------------------------------------------------


def _fit(board: Board, fit: Fit) -> Group:
    table = plain_table(header=False)
    add_column(table)
    add_column(table, "", "right")
    add_column(table)
    add_column(table)
    for kind, needed, available in (
        ("RAM", fit.ram_needed, fit.ram_available),
        ("flash", fit.flash_needed, fit.flash_available),
    ):
        fits = needed <= available
        verdict = share(needed, available) if fits else f"does not fit: {bytes_of(needed - available)} missing"
        table.add_row(
            kind,
            bytes_of(needed),
            Text(f"of {sized(available)}"),
            Text(verdict, "green" if fits else "bold red"),
        )
    return Group(heading(f"On {board.name}", "at the least, with the benchmark application"), table)
