"""A layer of some of its rows: which rows of the input they need, and the op as if its image were no higher.

A kernel sees geometry only. Called for a few output rows, with the input rows that these need and, at the image's
edges, the part of the padding that they reach, it computes what it would have computed for the whole image.

Ops that make one pixel of the whole image take its rows in one after the other (`global_pool.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..graph import ABSENT, DType, Graph, Op, Tensor
from .base import Layer, Parameters, ParameterValue
from .window import EXPLICIT

__all__ = [
    "FIRST_ROWS",
    "LAST_ROWS",
    "RowField",
    "RowWindow",
    "Rows",
    "merged_parameters",
    "op_of_rows",
    "row_window",
]

_FILTERS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
_ELEMENTWISE = ("ADD", "SUB", "MUL", "RELU", "RELU6", "LOGISTIC", "TANH", "QUANTIZE")

_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX")
_MAXIMA = ("MAX_POOL_2D", "REDUCE_MAX")

FIRST_ROWS, LAST_ROWS = 1, 2
"""Bits of `Rows.edges`, as in the kernels' `tinyml_image_rows`."""

_PROMISES = ("stays_inside",)
"""Parameters that are 1 where something holds for all windows; 0 is never wrong."""

_SUM_BYTES = 4
"""Of a channel's sum."""

_LARGEST_PADDING = 127
"""The narrowest of the kernels' fields for it are int8."""


@dataclass(frozen=True)
class Rows:
    """Some output rows of a layer.

    Attributes:
        input_rows: Rows of the input, or of each input, that they read.
        output_rows: How many they are.
        padding_top: Rows of padding above, as far as the first of them reaches.
        edges: Where rows are taken in: whether these are the image's first ones (1), its last ones (2), or both (3).
    """

    input_rows: int
    output_rows: int
    padding_top: int
    edges: int = 0


@dataclass(frozen=True)
class RowWindow:
    """Which rows of its inputs an op reads for which rows of its output: all inputs alike.

    Attributes:
        reach: Rows from the first to the last that a window covers.
        is_elementwise: Whether each output element reads the elements of its own position, and the kernel goes on from
            one to the next. Then the layer's lead holds for some of its rows as for all.
        state_bytes: Where the op makes one pixel of the whole image: what it keeps of the rows that it has taken in.
            Then rows of the output, here and in `Rows`, are those of the input, and the pixel is made with the last.
    """

    input_height: int
    output_height: int
    stride: int
    reach: int
    padding_top: int
    is_elementwise: bool = False
    state_bytes: int = 0

    def first_row(self, output_row: int) -> int:
        """The first input row of an output row's window, negative in the padding."""
        return output_row * self.stride - self.padding_top

    def end_row(self, output_end: int) -> int:
        """One past the last input row that the output rows before `output_end` read, padding included."""
        return self.first_row(output_end - 1) + self.reach

    def rows(self, first: int, end: int) -> tuple[int, Rows]:
        """For the output rows from `first` on, before `end`: the first input row inside, and what is read."""
        top, bottom = self.first_row(first), min(self.input_height, self.end_row(end))
        start = max(0, top)
        edges = 0
        if self.state_bytes:
            edges = (FIRST_ROWS if first == 0 else 0) | (LAST_ROWS if end == self.output_height else 0)
        return start, Rows(bottom - start, end - first, start - top, edges)


def row_window(graph: Graph, layer: Layer) -> RowWindow | None:
    """How a layer goes through its image's rows, None where it does not, or where its kernel cannot be told to.

    The layer must have been lowered, so that its op is known to be sound.
    """
    op = layer.op
    if len(op.outputs) != 1 or not op.inputs or layer.is_copy:
        return None
    output, images = graph.tensors[op.outputs[0]], _images(graph, op)
    if not images or not all(map(_is_image, images)):
        return None
    if _takes_in(graph, op):
        height, channels = images[0].shape[1], images[0].shape[3]
        state = channels if op.name in _MAXIMA else _SUM_BYTES * channels
        return RowWindow(height, height, 1, 1, 0, state_bytes=state)
    return _sliding_window(graph, op) if _is_image(output) else None


def _takes_in(graph: Graph, op: Op) -> bool:
    """Whether the op makes one pixel of all pixels."""
    image = graph.tensors[op.inputs[0]]
    if op.name in _REDUCTIONS:
        axes = graph.tensors[op.inputs[1]].data
        return axes is not None and {int(axis) % len(image.shape) for axis in axes.reshape(-1)} == {1, 2}
    if op.name not in _POOLS:
        return False
    filter_size = (_integer(op, "filter_height"), _integer(op, "filter_width"))
    covered = all(taps >= size for taps, size in zip(filter_size, image.shape[1:3], strict=True))
    return covered and graph.tensors[op.outputs[0]].shape[1:3] == (1, 1)


def _sliding_window(graph: Graph, op: Op) -> RowWindow | None:
    output, images = graph.tensors[op.outputs[0]], _images(graph, op)
    height, output_height = images[0].shape[1], output.shape[1]
    if op.name in _ELEMENTWISE:
        alike = all(tensor.shape == output.shape for tensor in images)
        return RowWindow(height, height, 1, 1, 0, is_elementwise=True) if alike else None
    if op.name in _FILTERS:
        filter_height = graph.tensors[op.inputs[1]].shape[1]
        reach = (filter_height - 1) * _integer(op, "dilation_h_factor") + 1
    elif op.name in _POOLS:
        reach = _integer(op, "filter_height")
    else:
        return None
    stride = _integer(op, "stride_h")
    padding = op.options["padding"]
    if padding == EXPLICIT:
        top = _integer(op, "padding_top")
    else:
        top = max(0, (output_height - 1) * stride + reach - height) // 2 if padding == "SAME" else 0
    return RowWindow(height, output_height, stride, reach, top) if top <= _LARGEST_PADDING else None


def _images(graph: Graph, op: Op) -> tuple[Tensor, ...]:
    """The op's activations: of a filter or a reduction the first input, of others all."""
    used = op.inputs[:1] if op.name in (*_FILTERS, *_REDUCTIONS) else op.inputs
    return tuple(graph.tensors[index] for index in used if index != ABSENT)


def _is_image(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.dtype is DType.INT8 and not tensor.is_constant


def _integer(op: Op, name: str) -> int:
    value = op.options[name]
    assert isinstance(value, int)
    return value


def op_of_rows(graph: Graph, op: Op, window: RowWindow, rows: Rows) -> tuple[Graph, Op]:
    """The op over an image of just these rows, and the graph in which its tensors are of that height."""
    tensors = list(graph.tensors)
    for image in _images(graph, op):
        tensors[image.index] = _with_height(image, rows.input_rows)
    output = graph.tensors[op.outputs[0]]
    tensors[output.index] = _with_height(output, rows.output_rows)
    if op.name not in _ELEMENTWISE:
        below = (rows.output_rows - 1) * window.stride + window.reach - rows.padding_top - rows.input_rows
        op = replace(op, options={**op.options, **_sides(graph, op, top=rows.padding_top, bottom=below)})
    return replace(graph, tensors=tuple(tensors)), op


def _with_height(tensor: Tensor, rows: int) -> Tensor:
    return replace(tensor, shape=(1, rows, *tensor.shape[2:]))


def _sides(graph: Graph, op: Op, *, top: int, bottom: int) -> dict[str, int | str]:
    """Explicit paddings: the given ones of the height, and those of the width that the op has."""
    if op.options["padding"] == EXPLICIT:
        return {"padding_top": top, "padding_bottom": bottom}
    left = right = 0
    if op.options["padding"] == "SAME":
        width, output_width = graph.tensors[op.inputs[0]].shape[2], graph.tensors[op.outputs[0]].shape[2]
        if op.name in _FILTERS:
            reach = (graph.tensors[op.inputs[1]].shape[2] - 1) * _integer(op, "dilation_w_factor") + 1
        else:
            reach = _integer(op, "filter_width")
        both = max(0, (output_width - 1) * _integer(op, "stride_w") + reach - width)
        left, right = both // 2, both - both // 2
    return {"padding": EXPLICIT, "padding_top": top, "padding_bottom": bottom, "padding_left": left,
            "padding_right": right}  # fmt: skip


# -- one set of parameters for several numbers of rows --------------------------------------------------------------


@dataclass(frozen=True)
class RowField:
    """A field of a kernel's parameters that follows from the rows.

    It is `factor` times the attribute `source` of `Rows`, plus `offset`; `path` is its name, behind those of the
    structs that it is in.
    """

    path: tuple[str, ...]
    source: str
    factor: int
    offset: int = 0

    def value(self, rows: Rows) -> int:
        """The parameter for these rows."""
        number: int = getattr(rows, self.source)
        return self.factor * number + self.offset


def merged_parameters(cases: Mapping[Rows, Parameters]) -> tuple[Parameters, tuple[RowField, ...]] | None:
    """What a layer's parameters for several numbers of rows have in common, and how the rest follows from the rows.

    Returns:
        None where some field does not follow.
    """
    first = next(iter(cases.values()))
    flat = {rows: dict(_leaves(parameters.fields)) for rows, parameters in cases.items()}
    common: dict[tuple[str, ...], ParameterValue] = dict(_leaves(first.fields))
    if any(leaves.keys() != common.keys() for leaves in flat.values()):
        return None
    fields = []
    for path in common:
        values = {rows: leaves[path] for rows, leaves in flat.items()}
        if len(set(values.values())) == 1:
            continue
        if path[-1] in _PROMISES:
            common[path] = 0
        elif (field := _explained(path, values)) is not None:
            fields.append(field)
        else:
            return None
    return Parameters(first.c_type, _nested(first.fields, common)), tuple(fields)


def _leaves(
    fields: Mapping[str, ParameterValue], above: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], ParameterValue]]:
    found: list[tuple[tuple[str, ...], ParameterValue]] = []
    for name, value in fields.items():
        path = (*above, name)
        found += _leaves(value, path) if isinstance(value, Mapping) else [(path, value)]
    return found


def _nested(
    fields: Mapping[str, ParameterValue],
    values: Mapping[tuple[str, ...], ParameterValue],
    above: tuple[str, ...] = (),
) -> dict[str, ParameterValue]:
    result: dict[str, ParameterValue] = {}
    for name, value in fields.items():
        path = (*above, name)
        result[name] = _nested(value, values, path) if isinstance(value, Mapping) else values[path]
    return result


def _explained(path: tuple[str, ...], values: Mapping[Rows, ParameterValue]) -> RowField | None:
    """A field of several values as a function of one of the rows' numbers; rather as a multiple of it."""
    found = []
    for source in ("input_rows", "output_rows", "padding_top", "edges"):
        points = sorted({(getattr(rows, source), value) for rows, value in values.items() if isinstance(value, int)})
        if len(points) < 2 or points[0][0] == points[1][0]:
            continue
        (first, low), (second, high) = points[:2]
        factor = (high - low) // (second - first)
        field = RowField(path, source, factor, low - factor * first)
        if all(value == field.value(rows) for rows, value in values.items()):
            found.append(field)
    return min(found, key=lambda field: field.offset != 0, default=None)
