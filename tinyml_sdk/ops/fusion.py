"""Ops that become part of a neighbour: PAD of the filter that reads it, RELU and RELU6 of the layer they limit.

Only where not a bit changes, and where nothing else reads the tensor between the two: it is never computed then, and
takes no memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..graph import ABSENT, DType, Graph, Op, OptionValue, Tensor
from .base import Operator, OpView
from .pad import Pad
from .relu import Relu
from .relu6 import Relu6
from .weights import read_filter
from .window import EXPLICIT, sliding_window

__all__ = ["fuse_ops"]

_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Of the weights, for each operator that has a window over padding."""

_CLAMPING = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

_ACTIVATIONS: dict[str, Operator] = {operator.name: operator for operator in (Relu(), Relu6())}


def fuse_ops(graph: Graph) -> Graph:
    """The graph without the ops that others can do on the way.

    What is left keeps its index, and tensors keep theirs. A filter with a PAD reads what that read, with the padding in
    its options (`window.EXPLICIT`); a layer with an activation writes what that wrote.

    Raises:
        ModelError: an op that could be fused, or the filter behind it, is unsupported or impossible.
    """
    return _Fusing(graph).graph()


class _Fusing:
    """Rewrites ops by their position in the file; those that have become part of others are None."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._readers = Counter(index for op in graph.ops for index in op.inputs)
        self._writers = {index: place for place, op in enumerate(graph.ops) for index in op.outputs}
        self._ops: list[Op | None] = list(graph.ops)

    def graph(self) -> Graph:
        for place, op in enumerate(self._graph.ops):
            if op.name in _CHANNEL_AXIS:
                self._fuse_padding(place, op)
            elif op.name in _ACTIVATIONS:
                self._fuse_activation(place, op)
        ops = tuple(op for op in self._ops if op is not None)
        return self._graph if len(ops) == len(self._ops) else replace(self._graph, ops=ops)

    def _fuse_padding(self, place: int, filter_: Op) -> None:
        source = self._writer_for(filter_)
        pad = self._ops[source] if source is not None else None
        if source is None or pad is None or pad.name != "PAD" or filter_.options["padding"] != "VALID":
            return
        if not self._keeps_meaning(pad):
            return
        view = OpView(self._graph, pad)
        Pad().checked_lower(view)
        paddings = view.constant(1, DType.INT32).reshape(-1, 2)
        options = _explicit(filter_, paddings)
        if options is None:
            return
        fused = replace(filter_, inputs=(pad.inputs[0], *filter_.inputs[1:]), options=options)
        if _is_as_same_padding(OpView(self._graph, fused), paddings):
            self._ops[source], self._ops[place] = None, fused

    def _fuse_activation(self, place: int, activation: Op) -> None:
        source = self._writer_for(activation)
        layer = self._ops[source] if source is not None else None
        if source is None or layer is None or layer.name not in _CLAMPING or len(layer.outputs) != 1:
            return
        if layer.options["fused_activation_function"] != "NONE":
            return
        if self._keeps_meaning(activation):
            _ACTIVATIONS[activation.name].checked_lower(OpView(self._graph, activation))
            options = {**layer.options, "fused_activation_function": activation.name}
            self._ops[source], self._ops[place] = replace(layer, outputs=activation.outputs, options=options), None

    def _writer_for(self, op: Op) -> int | None:
        """Where the op is that makes input 0 for this one alone."""
        index = op.inputs[0] if op.inputs else ABSENT
        kept = self._readers[index] != 1 or index in self._graph.outputs or index in self._graph.variables
        return None if index == ABSENT or kept else self._writers.get(index)

    def _keeps_meaning(self, op: Op) -> bool:
        """Whether an int8 value stands for the same number before and behind the op, and none is a variable's."""
        if len(op.outputs) != 1 or not op.inputs or op.inputs[0] == ABSENT:
            return False
        before, after = self._graph.tensors[op.inputs[0]], self._graph.tensors[op.outputs[0]]
        computed = not before.is_constant and {before.index, after.index}.isdisjoint(self._graph.variables)
        return computed and _numbers(before) == _numbers(after) is not None


def _numbers(tensor: Tensor) -> tuple[float, int] | None:
    """Scale and zero point; None unless int8 values have one of each."""
    quantization = tensor.quantization
    if tensor.dtype is not DType.INT8 or quantization is None or quantization.per_channel:
        return None
    return tensor.scale, tensor.zero_point


def _explicit(filter_: Op, paddings: npt.NDArray[np.generic]) -> dict[str, OptionValue] | None:
    """The filter's options with the paddings (rank, before and after), None unless these are of height and width."""
    if paddings.shape != (4, 2) or paddings[[0, 3]].any():
        return None
    (top, bottom), (left, right) = paddings[1:3].tolist()
    sides = {"padding_top": top, "padding_bottom": bottom, "padding_left": left, "padding_right": right}
    return {**filter_.options, "padding": EXPLICIT, **sides}


def _is_as_same_padding(view: OpView, paddings: npt.NDArray[np.generic]) -> bool:
    """Whether SAME could ask for as much padding: before the input, not more than half the filter; no output beyond it.

    Kernels count on it where they write over what they read: an output pixel lies no further on than its window.
    """
    filter_ = read_filter(view, rank=4, channel_axis=_CHANNEL_AXIS[view.op.name])
    window = sliding_window(view, view.activation(0, rank=4), *filter_.shape[1:3], dilated=True)
    axes = (
        (paddings[1][0], window.input_height, window.output_height, window.reach_height, window.stride_height),
        (paddings[2][0], window.input_width, window.output_width, window.reach_width, window.stride_width),
    )
    return all(
        before <= (reach - 1) // 2 and output <= -(-size // stride) for before, size, output, reach, stride in axes
    )
