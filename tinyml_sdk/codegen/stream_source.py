"""Streams as C: functions that make some rows of a layer, and tables of which rows when.

Layers that share a kernel's function share one for rows too: it takes the layer's arguments from flash and puts in what
the rows decide. Another layer has a kernel of its own, in which all but that is literal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from ..ops import Parameters, ParameterValue, RowField
from ..plan import MemoryPlan, Phase, Place, RowLayer, StreamedLayer
from .c_source import c_call, struct_rows
from .layer_call import LayerCall, layer_symbol

__all__ = ["RowFunction", "RowMember", "row_functions", "stream_source"]


@dataclass(frozen=True, eq=False)
class RowMember:
    """A layer of a stream, the call of its kernel, and the function that it shares, where it does."""

    layer: RowLayer
    call: LayerCall
    shared: str | None


@dataclass(frozen=True, eq=False)
class RowFunction:
    """What makes some rows of the layers that share a kernel's function.

    Attributes:
        name: Of the C function.
        fields: Parameters that it changes: of all these layers together.
    """

    name: str
    fields: tuple[RowField, ...]
    members: tuple[RowMember, ...]

    def with_member(self, member: RowMember) -> RowFunction | None:
        """The same for one more layer, None where a field of one of them is not what the other says."""
        if member.shared != self.members[0].shared:
            return None
        fields = tuple(dict.fromkeys((*self.fields, *member.layer.fields)))
        members = (*self.members, member)
        holds = all(each.layer.holds(field) for field in fields for each in members)
        return RowFunction(self.name, fields, members) if holds else None

    @property
    def source(self) -> dict[str, Any]:
        """What the template shows of it."""
        first = self.members[0]
        changes = [(f"params.{'.'.join(field.path)}", _value(field)) for field in self.fields]
        changes += [(passed.name, f"rows->{passed.rows}") for passed in first.call.passed if passed.rows]
        return {"head": _head(self.name), "shared": first.shared, "changes": changes}


def row_functions(members: Sequence[RowMember]) -> tuple[RowFunction, ...]:
    """The functions for all layers of streams that share a kernel's function: few, as most take any of these."""
    functions: list[RowFunction] = []
    for member in members:
        if member.shared is None:
            continue
        for place, function in enumerate(functions):
            if (wider := function.with_member(member)) is not None:
                functions[place] = wider
                break
        else:
            taken = sum(function.members[0].shared == member.shared for function in functions)
            name = f"{member.shared}_rows" + (f"_{taken + 1}" if taken else "")
            functions.append(RowFunction(name, member.layer.fields, (member,)))
    return tuple(functions)


def stream_source(
    stream: StreamedLayer,
    members: Sequence[RowMember],
    functions: Sequence[RowFunction],
    plan: MemoryPlan,
    most_inputs: int,
    *,
    edges: bool,
) -> dict[str, Any]:
    """What the template shows of a stream.

    Args:
        members: Its layers.
        functions: Those of `row_functions`.
        most_inputs: Of any layer in any of the model's streams.
        edges: Whether some layer of these needs to know where its image begins and ends.
    """
    scratch = members[0].call.scratch - stream.scratch_offset(0)
    function = {id(member.layer): each.name for each in functions for member in each.members}
    name = f"stream_{stream.op.index}"
    return {
        "symbol": name,
        "shared": None,
        "stream": {
            "parts": ", ".join(f"{layer.op.index} {layer.op.name}" for layer in stream.parts),
            "rows_at_once": stream.rows_at_once,
            "layers": [
                {
                    **_layer(member, function.get(id(member.layer))),
                    "row": _row_layer(stream, place, function.get(id(member.layer)), scratch, most_inputs),
                }
                for place, member in enumerate(members)
            ],
            "phases": [_phase(phase, scratch, plan, most_inputs, edges=edges) for phase in stream.phases],
            "turns": [phase.turns for phase in stream.phases],
        },
    }


def _head(function: str) -> str:
    """The beginning of a function that makes some rows."""
    arguments = ("const void *arguments", "const model_rows *rows", "int8_t *arena")
    return c_call(f"static void {function}", arguments, "", ") {")


def _layer(member: RowMember, function: str | None) -> dict[str, Any]:
    """Its arguments for a function that it shares, or its parameters and call."""
    layer, call = member.layer.layer, member.call
    parameters = next((argument for argument in layer.arguments if isinstance(argument, Parameters)), None)
    values = {field.path: _value(field) for field in member.layer.fields}
    fields = _with_rows(parameters.fields, values) if parameters else {}
    return {
        "comment": f"{layer.op.index}: {layer.op.name}",
        "symbol": layer_symbol(layer),
        "head": _head(f"{layer_symbol(layer)}_rows"),
        "shared": member.shared,
        "arguments": struct_rows({passed.name: passed.value for passed in call.passed}, "    ") if function else "",
        "params_type": parameters.c_type if parameters else None,
        "params": struct_rows(fields, "      "),
        "params_are_constant": not member.layer.fields,
        "call": c_call(layer.kernel, [passed.literal for passed in call.passed], "  "),
    }


def _row_layer(stream: StreamedLayer, place: int, function: str | None, scratch: int, most_inputs: int) -> str:
    """The initializer of the C struct `model_row_layer`."""
    layer, advances = stream.parts[place], stream.schedule.advances[place]
    symbol = layer_symbol(layer)
    buffers = [each for each in stream.schedule.buffers if each.tensor == layer.op.outputs[0] and each.kept_bytes]
    buffer, step, kept = next(
        ((scratch + each.offset, each.step * each.row_bytes, each.kept_bytes) for each in buffers), (0, 0, 0)
    )
    called = f"{function}, &{symbol}" if function else f"{symbol}_rows, NULL"
    return f"{{{called}, {{{_places(advances, most_inputs)}}}, {buffer}, {step}, {kept}}}"


def _phase(phase: Phase, scratch: int, plan: MemoryPlan, most_inputs: int, *, edges: bool) -> list[str]:
    """For each layer the rows of a phase, as an initializer of the C struct `model_rows`."""
    rows = []
    for call in phase.calls:
        if call is None:
            rows.append("{.output_rows = 0}")
            continue
        places = [_offset(place, scratch, plan) for place in (*call.inputs, call.output)]
        numbers = ", ".join(map(str, astuple(call.rows) if edges else astuple(call.rows)[:-1]))
        rows.append(f"{{{{{_places(places, most_inputs)}}}, {numbers}}}")
    return rows


def _value(field: RowField) -> str:
    """A parameter as C, given the rows."""
    value = f"rows->{field.source}" + (f" * {field.factor}" if field.factor != 1 else "")
    return value + (f" {'-' if field.offset < 0 else '+'} {abs(field.offset)}" if field.offset else "")


def _with_rows(
    fields: Mapping[str, ParameterValue], values: Mapping[tuple[str, ...], str], above: tuple[str, ...] = ()
) -> dict[str, ParameterValue]:
    return {
        name: _with_rows(value, values, (*above, name))
        if isinstance(value, Mapping)
        else values.get((*above, name), value)
        for name, value in fields.items()
    }


def _places(values: Sequence[int], most_inputs: int) -> str:
    """Numbers of a layer's inputs and its output, the output's at the end of so many inputs'."""
    return ", ".join(map(str, (*values[:-1], *[0] * (most_inputs + 1 - len(values)), values[-1])))


def _offset(place: Place, scratch: int, plan: MemoryPlan) -> int:
    return (scratch if place.tensor is None else plan.tensor_offsets[place.tensor]) + place.offset
