"""Channels that are the same for every input are computed here, once, and leave the model.

What a convolution would have added up of a constant channel goes into its bias, and the filter that made the channel,
with all that it read alone, goes away. Nothing changes in any output of the model: the proof is `channel_ranges`, which
bounds each channel over all inputs with TFLM's own arithmetic. (Of the weights of MLPerf
Tiny's person detector, four fifths go.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..graph import ABSENT, DType, Graph, Op, Quantization, Tensor
from .channel_ranges import ChannelRange, Channelwise, Filter, Step, channel_ranges, read_step
from .weights import read_bias

__all__ = ["remove_constant_channels"]

_BLOCK = 4
"""As many channels as kernels compute at a time: of a last block, the free places are not emptied."""

Mask = npt.NDArray[np.bool_]


def remove_constant_channels(graph: Graph) -> Graph:
    """The graph without the channels that do not depend on its inputs.

    Inputs and outputs of the model stay as they are, and so do tensor indices; new constants come last. A tensor that
    has lost channels says which it has kept (`Tensor.channels`).
    """
    steps = {op.index: step for op in graph.ops if (step := read_step(graph, op)) is not None}
    ranges = channel_ranges(graph, steps)
    gone = _removable(graph, steps, ranges)
    if not any(mask.any() for mask in gone.values()):
        return graph
    return _Rewriting(graph, steps, ranges, gone).graph()


# -- which channels -----------------------------------------------------------------------------------------------


def _removable(graph: Graph, steps: Mapping[int, Step], ranges: Mapping[int, ChannelRange]) -> dict[int, Mask]:
    """For each tensor that comes out of a step, the channels that all its readers can do without."""
    gone = {
        index: np.full(len(range_.low), index not in graph.outputs and index not in graph.variables)
        for index, range_ in ranges.items()
    }
    _settle(graph, steps, ranges, gone)
    while any(_fill_block(gone[op.outputs[0]]) for op in graph.ops if isinstance(steps.get(op.index), Filter)):
        _settle(graph, steps, ranges, gone)
    return gone


def _settle(graph: Graph, steps: Mapping[int, Step], ranges: Mapping[int, ChannelRange], gone: dict[int, Mask]) -> None:
    """Keep what some reader needs, until nothing changes any more."""
    before = -1
    while (count := sum(int(mask.sum()) for mask in gone.values())) != before:
        before = count
        for op in graph.ops:
            _keep_what_is_read(op, steps.get(op.index), ranges, gone)


def _keep_what_is_read(op: Op, step: Step | None, ranges: Mapping[int, ChannelRange], gone: dict[int, Mask]) -> None:
    if step is None:
        for index in op.inputs:
            if index in gone:
                gone[index][:] = False
        return
    source = step.view.activation(0)
    if isinstance(step, Channelwise):
        # Both tensors lose a channel, or neither does.
        both = gone[op.outputs[0]] & gone.get(source.index, np.False_)
        gone[op.outputs[0]][:] = both
        if source.index in gone:
            gone[source.index][:] = both
    elif source.index in gone:
        range_ = ranges[source.index]
        foldable = range_.is_constant & (not step.reads_padding or range_.low == source.zero_point)
        unused = (step.weights == 0).all(axis=(0, 1))
        gone[source.index] &= foldable | unused


def _fill_block(mask: Mask) -> bool:
    """Keep as many channels as there is room for in the last block, and one block at the least."""
    kept = int((~mask).sum())
    free = _BLOCK if kept == 0 else -kept % _BLOCK
    back = np.flatnonzero(mask)[:free]
    mask[back] = False
    return back.size > 0


# -- the smaller graph --------------------------------------------------------------------------------------------


class _Rewriting:
    """Writes the graph anew, op by op."""

    def __init__(
        self, graph: Graph, steps: Mapping[int, Step], ranges: Mapping[int, ChannelRange], gone: Mapping[int, Mask]
    ) -> None:
        self._graph, self._steps, self._ranges = graph, steps, ranges
        self._kept = {index: np.flatnonzero(~mask) for index, mask in gone.items() if mask.any()}
        self._tensors = [self._smaller(tensor) for tensor in graph.tensors]

    def graph(self) -> Graph:
        ops = tuple(self._op(op) for op in self._graph.ops)
        return replace(self._graph, tensors=tuple(self._tensors), ops=ops)

    def _smaller(self, tensor: Tensor) -> Tensor:
        kept = self._kept.get(tensor.index)
        if kept is None:
            return tensor
        return replace(tensor, shape=(*tensor.shape[:-1], len(kept)), channels=tuple(kept.tolist()))

    def _op(self, op: Op) -> Op:
        step = self._steps.get(op.index)
        before, after = self._kept.get(op.inputs[0]), self._kept.get(op.outputs[0])
        if step is None or (before is None and after is None):
            return op
        if isinstance(step, Filter):
            return self._filter(op, step, before, after)
        if step.depthwise is not None and after is not None:
            weights, bias = self._constant(op, 1), read_bias(step.view, len(step.depthwise.weights))
            return self._with_constants(op, _taken(weights, after, axis=3), bias[after], after)
        return op

    def _filter(
        self, op: Op, step: Filter, before: npt.NDArray[np.intp] | None, after: npt.NDArray[np.intp] | None
    ) -> Op:
        weights, bias = self._constant(op, 1), read_bias(step.view, len(step.weights))
        if before is not None:
            range_, zero_point = self._ranges[op.inputs[0]], step.view.activation(0).zero_point
            lost = np.setdiff1d(np.arange(len(range_.low)), before)
            # Channels that change are only lost where no weight reads them.
            bias = bias + (step.weights[..., lost] * (range_.low[lost] - zero_point)).sum(axis=(1, 2))
            weights = _taken(weights, before, axis=-1)
        if after is not None:
            weights, bias = _taken(weights, after, axis=0), bias[after]
        return self._with_constants(op, weights, bias, after)

    def _constant(self, op: Op, position: int) -> Tensor:
        return self._graph.tensors[op.inputs[position]]

    def _with_constants(
        self, op: Op, weights: Tensor, bias: npt.NDArray[np.int64], after: npt.NDArray[np.intp] | None
    ) -> Op:
        """The op with new weights and bias, which others may share with it."""
        if after is not None and weights.quantization is not None and weights.quantization.per_channel:
            scales = weights.quantization
            weights = replace(
                weights,
                quantization=Quantization(
                    tuple(scales.scale[channel] for channel in after),
                    tuple(scales.zero_point[channel] for channel in after),
                    scales.axis,
                ),
            )
        has_bias = len(op.inputs) > 2 and op.inputs[2] != ABSENT
        name = self._graph.tensors[op.inputs[2]].name if has_bias else f"{weights.name}/bias"
        new_bias = Tensor(-1, name, bias.shape, DType.INT32, None, bias.astype(np.int32))
        inputs = (op.inputs[0], self._add(weights), self._add(new_bias), *op.inputs[3:])
        return replace(op, inputs=inputs)

    def _add(self, tensor: Tensor) -> int:
        index = len(self._tensors)
        self._tensors.append(replace(tensor, index=index))
        return index


def _taken(tensor: Tensor, channels: npt.NDArray[np.intp], axis: int) -> Tensor:
    assert tensor.data is not None
    data = np.take(tensor.data, channels, axis=axis)
    return replace(tensor, shape=data.shape, data=data)
