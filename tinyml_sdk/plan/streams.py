"""Layers that run together, row by row, as one layer: what planning and code generation see of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..graph import Graph, Op
from ..ops import Constant, Layer, Parameters, ParameterValue, RowField, Rows, RowWindow, merged_parameters
from .row_schedule import RowBuffer, RowCall, RowSchedule, Step, schedule_rows

__all__ = ["Phase", "RowLayer", "StreamedLayer", "build_stream", "sketch_stream"]

_CALL = 200
"""Instructions of a call besides the kernel's: its arguments are copied and changed."""

_NO_ROWS = RowSchedule((), 0, (), (), (), 0, ())

LowerRows = Callable[[Layer, RowWindow, Rows], Layer]
"""A layer over some of its rows only."""


@dataclass(frozen=True, eq=False)
class RowLayer:
    """A layer of a stream.

    Attributes:
        layer: With parameters that hold for all its calls but for `fields`; its scratch memory is the most of any call.
        fields: Parameters that follow from the rows of a call.
        rows: What it is called for.
    """

    layer: Layer
    fields: tuple[RowField, ...] = ()
    rows: tuple[Rows, ...] = ()

    def holds(self, field: RowField) -> bool:
        """Whether a parameter follows from the rows in all calls, be it as one that never changes."""
        if field in self.fields or any(other.path == field.path for other in self.fields):
            return field in self.fields
        parameters = next(argument for argument in self.layer.arguments if isinstance(argument, Parameters))
        value: ParameterValue | None = parameters.fields
        for name in field.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return all(value == field.value(rows) for rows in self.rows)


@dataclass(frozen=True)
class Phase:
    """Steps that differ only in where tensors outside the stream are read and written.

    Attributes:
        turns: How many steps.
        calls: Those of the first of them.
    """

    turns: int
    calls: Step


@dataclass(frozen=True, eq=False)
class StreamedLayer(Layer):
    """A chain of layers as one. Its scratch memory is the buffers between them, and behind these what kernels need.

    Attributes:
        row_layers: In the order in which they run in each step.
        schedule: All their calls.
        phases: The same, shorter.
        rows_at_once: Rows that the last layer makes in a step.
        instructions: Estimated, of one inference.
    """

    row_layers: tuple[RowLayer, ...] = ()
    schedule: RowSchedule = _NO_ROWS
    phases: tuple[Phase, ...] = ()
    rows_at_once: int = 1
    instructions: int = 0

    @property
    def estimate(self) -> int:
        """Estimated instructions of one inference."""
        return self.instructions

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers whose kernels run."""
        return tuple(member.layer for member in self.row_layers)

    def scratch_offset(self, position: int) -> int:
        """Where the scratch memory of a layer's kernel begins, from the start of the stream's.

        They share what lies behind the buffers, but for a last layer that keeps its own from call to call.
        """
        if self.schedule.state is not None and position == len(self.row_layers) - 1:
            return self.schedule.state
        return self.schedule.buffer_bytes

    @property
    def most_inputs(self) -> int:
        """The most tensors that one of its layers reads."""
        return max(len(call.inputs) for step in self.schedule.steps for call in step if call is not None)

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The arrays of all its layers."""
        return tuple(constant for layer in self.parts for constant in layer.constants)


def sketch_stream(
    graph: Graph, layers: Sequence[Layer], windows: Sequence[RowWindow], rows_at_once: int
) -> StreamedLayer | None:
    """The stream as far as memory goes, without the parameters of its kernels. None where there is no schedule.

    Kernels' scratch memory is taken as that for the whole image, which is hardly ever more.
    """
    rows_at_once = min(rows_at_once, windows[-1].output_height)
    schedule = schedule_rows(graph, layers, windows, rows_at_once)
    if schedule is None:
        return None
    last = layers[-1].op
    op = Op(last.index, " + ".join(layer.op.name for layer in layers), 1, schedule.inputs, last.outputs)
    return StreamedLayer(
        op=op,
        kernel="tinyml_stream",
        header="tinyml_bytes.h",
        arguments=(),
        macs=sum(layer.macs for layer in layers),
        lead=schedule.leads,
        scratch_bytes=schedule.buffer_bytes + max(_shared_scratch(layers, windows)),
        row_layers=tuple(RowLayer(layer) for layer in layers),
        schedule=schedule,
        rows_at_once=rows_at_once,
    )


def build_stream(sketch: StreamedLayer, windows: Sequence[RowWindow], lower: LowerRows) -> StreamedLayer | None:
    """The whole stream. None where a kernel's parameters or constants for a few rows do not follow from the rows."""
    steps = sketch.schedule.steps
    row_layers, instructions = [], _moving(sketch.schedule.buffers) * len(steps)
    for position, (member, window) in enumerate(zip(sketch.row_layers, windows, strict=True)):
        calls = [call.rows for step in steps if (call := step[position]) is not None]
        cases = {rows: lower(member.layer, window, rows) for rows in dict.fromkeys(calls)}
        merged = _merge(member.layer, cases, keeps_kernel=not window.state_bytes)
        if merged is None:
            return None
        row_layers.append(merged)
        instructions += sum(_CALL + cases[rows].estimate for rows in calls)
    scratch = max(_shared_scratch([member.layer for member in row_layers], windows))
    return replace(
        sketch,
        row_layers=tuple(row_layers),
        phases=_phases(sketch.schedule),
        scratch_bytes=sketch.schedule.buffer_bytes + scratch,
        instructions=instructions,
    )


def _shared_scratch(layers: Sequence[Layer], windows: Sequence[RowWindow]) -> list[int]:
    """Of each layer, but for one whose scratch memory is its state."""
    return [layer.scratch_bytes for layer, window in zip(layers, windows, strict=True) if not window.state_bytes]


def _moving(buffers: Iterable[RowBuffer]) -> int:
    """Instructions of a step for what is kept."""
    return sum(3 * buffer.kept_bytes // 4 for buffer in buffers)


def _merge(layer: Layer, cases: dict[Rows, Layer], *, keeps_kernel: bool) -> RowLayer | None:
    """One layer for several numbers of rows, with the kernel of the whole one, or of its own if it takes rows in."""
    layers = list(cases.values())
    first = layers[0]
    whole = layer if keeps_kernel else first
    for other in layers:
        if other.kernel != whole.kernel or len(other.arguments) != len(first.arguments):
            return None
        if not all(_same_constant(mine, theirs) for mine, theirs in zip(first.arguments, other.arguments, strict=True)):
            return None
    where = [place for place, argument in enumerate(first.arguments) if isinstance(argument, Parameters)]
    arguments = list(first.arguments)
    fields: tuple[RowField, ...] = ()
    for place in where:
        parameters = {rows: each.arguments[place] for rows, each in cases.items()}
        merged = merged_parameters({rows: value for rows, value in parameters.items() if isinstance(value, Parameters)})
        if merged is None or len(where) > 1:
            return None
        arguments[place], fields = merged
    scratch = max(each.scratch_bytes for each in layers)
    merged_layer = replace(first, op=layer.op, arguments=tuple(arguments), macs=layer.macs, lead=layer.lead,
                           scratch_bytes=scratch, choices=whole.choices)  # fmt: skip
    return RowLayer(merged_layer, fields, tuple(cases))


def _same_constant(mine: object, theirs: object) -> bool:
    if isinstance(mine, Constant):
        return (
            isinstance(theirs, Constant)
            and mine.name == theirs.name
            and mine.values.dtype == theirs.values.dtype
            and mine.values.tobytes() == theirs.values.tobytes()
        )
    return isinstance(mine, Parameters) or mine == theirs


def _distances(old: RowCall, new: RowCall) -> tuple[int, ...]:
    pairs = zip((*old.inputs, old.output), (*new.inputs, new.output), strict=True)
    return tuple(theirs.offset - mine.offset for mine, theirs in pairs)


def _phases(schedule: RowSchedule) -> tuple[Phase, ...]:
    """Steps of the same rows, all places moved by what the layer says, as one."""
    phases = [Phase(1, schedule.steps[0])]
    for before, step in pairwise(schedule.steps):
        if _follows(before, step, schedule.advances):
            phases[-1] = replace(phases[-1], turns=phases[-1].turns + 1)
        else:
            phases.append(Phase(1, step))
    return tuple(phases)


def _follows(before: Step, after: Step, advances: Sequence[tuple[int, ...]]) -> bool:
    for old, new, advance in zip(before, after, advances, strict=True):
        if old is None or new is None:
            if old is not new:
                return False
        elif old.rows != new.rows or _distances(old, new) != advance:
            return False
    return True
