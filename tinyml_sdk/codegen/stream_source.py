"""Streams as C: a function for each of their layers, which makes some rows, and tables of which rows when.

The function takes the layer's arguments from flash, as those that share a kernel have them, and puts in what the rows
decide; or it has a kernel of its own, in which all but that is literal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ops import Parameters, ParameterValue, RowField
from ..plan import MemoryPlan, Phase, Place, RowLayer, StreamedLayer
from .c_source import c_call, struct_rows
from .layer_call import LayerCall, layer_symbol

__all__ = ["stream_source"]


def stream_source(
    stream: StreamedLayer, calls: Sequence[tuple[LayerCall, str | None]], plan: MemoryPlan, most_inputs: int
) -> dict[str, Any]:
    """What the template shows of a stream.

    Args:
        calls: For each of its layers the call of its kernel, and the name of the shared function, where it has one.
        most_inputs: Of any layer in any of the model's streams.
    """
    scratch = calls[0][0].scratch - stream.schedule.buffer_bytes
    buffers = {buffer.tensor: buffer for buffer in stream.schedule.buffers}
    layers = []
    for member, (call, shared) in zip(stream.row_layers, calls, strict=True):
        buffer = buffers.get(member.layer.op.outputs[0])
        layers.append(
            {
                **_function(member, call, shared),
                "buffer": scratch + buffer.offset if buffer and buffer.kept_bytes else 0,
                "step": buffer.step * buffer.row_bytes if buffer and buffer.kept_bytes else 0,
                "kept": buffer.kept_bytes if buffer else 0,
            }
        )
    parts = ", ".join(f"{layer.op.index} {layer.op.name}" for layer in stream.parts)
    return {
        "symbol": f"stream_{stream.op.index}",
        "stream": {
            "parts": parts,
            "rows_at_once": stream.rows_at_once,
            "layers": layers,
            "phases": [_phase(phase, scratch, plan, most_inputs) for phase in stream.phases],
            "turns": [phase.turns for phase in stream.phases],
        },
        "shared": None,
    }


def _function(member: RowLayer, call: LayerCall, shared: str | None) -> dict[str, Any]:
    """A layer's function: its name, and either what to change in its arguments or its parameters and call."""
    places = [(passed.name, passed.rows) for passed in call.passed if passed.rows]
    changes = [(f"params.{'.'.join(field.path)}", _value(field)) for field in member.fields]
    changes += [(name, f"rows->{rows}") for name, rows in places]
    parameters = next((argument for argument in member.layer.arguments if isinstance(argument, Parameters)), None)
    fields = _with_rows(parameters.fields, {field.path: _value(field) for field in member.fields}) if parameters else {}
    return {
        "comment": f"{member.layer.op.index}: {member.layer.op.name}",
        "symbol": layer_symbol(member.layer),
        "shared": shared,
        "arguments": struct_rows({passed.name: passed.value for passed in call.passed}, "    ") if shared else "",
        "changes": changes,
        "params_type": parameters.c_type if parameters else None,
        "params": struct_rows(fields, "      ") if parameters else "",
        "params_are_constant": not member.fields,
        "call": c_call(member.layer.kernel, [passed.literal for passed in call.passed], "  "),
    }


def _value(field: RowField) -> str:
    """A parameter as C, given the rows."""
    return f"rows->{field.source}" + (f" * {field.factor}" if field.factor != 1 else "")


def _with_rows(
    fields: Mapping[str, ParameterValue], values: Mapping[tuple[str, ...], str], above: tuple[str, ...] = ()
) -> dict[str, ParameterValue]:
    return {
        name: _with_rows(value, values, (*above, name))
        if isinstance(value, Mapping)
        else values.get((*above, name), value)
        for name, value in fields.items()
    }


def _phase(phase: Phase, scratch: int, plan: MemoryPlan, most_inputs: int) -> list[str]:
    """For each layer the rows of a phase, as an initializer of the C struct `model_rows`."""
    rows = []
    for call, advances in zip(phase.calls, phase.advances, strict=True):
        if call is None:
            rows.append("{.output_rows = 0}")
            continue
        inputs = _padded([_offset(place, scratch, plan) for place in call.inputs], most_inputs)
        steps = _padded(advances[:-1], most_inputs)
        output = _offset(call.output, scratch, plan)
        rows.append(
            f"{{{{{inputs}}}, {output}, {{{steps}}}, {advances[-1]}, "
            f"{call.rows.input_rows}, {call.rows.output_rows}, {call.rows.padding_top}}}"
        )
    return rows


def _padded(values: Sequence[int], count: int) -> str:
    return ", ".join(str(value) for value in (*values, *[0] * (count - len(values))))


def _offset(place: Place, scratch: int, plan: MemoryPlan) -> int:
    return (scratch if place.tensor is None else plan.tensor_offsets[place.tensor]) + place.offset

