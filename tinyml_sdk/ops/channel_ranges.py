"""Which values each channel of a tensor can take, for any input at all: an interval for each.

An output channel of a filter is a monotonic function of its sum, and the sum is bounded by what its inputs can be. A
channel whose interval is a single value is constant. Trained models have many: a fused ReLU leaves nothing of a filter
whose sums are always negative, and a filter of tiny weights shows nothing but its bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..graph import DType, Graph, Op, Tensor
from .base import OpView
from .fixed_point import rescale
from .transpose import read_permutation
from .weights import filter_constants, product_scales, read_filter
from .window import sliding_window

__all__ = ["ChannelRange", "Channelwise", "Filter", "Step", "channel_ranges", "read_step"]

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChannelRange:
    """Least and largest stored value of each channel: two arrays (channels,)."""

    low: Int64
    high: Int64

    @property
    def is_constant(self) -> npt.NDArray[np.bool_]:
        """Which channels never change: (channels,)."""
        return np.equal(self.low, self.high)


@dataclass(frozen=True, eq=False)
class Filter:
    """A convolution or fully connected layer: every output channel reads every input channel.

    Attributes:
        weights: int64, (output channels, taps, input channels).
        reads_padding: Whether some windows leave the input, so that zeros stand for its channels there.
    """

    view: OpView
    weights: Int64
    scales: tuple[float, ...]
    reads_padding: bool


@dataclass(frozen=True, eq=False)
class Channelwise:
    """An op each of whose output channels reads the input channel of the same position, and no other.

    Attributes:
        depthwise: The filter of a depthwise convolution, (channels, taps, 1); None for poolings and reshapes.
    """

    view: OpView
    depthwise: Filter | None = None


Step = Filter | Channelwise


def read_step(graph: Graph, op: Op) -> Step | None:
    """What an op does to channels; None for all other ops, and for those that are refused when they are lowered."""
    read = {
        "CONV_2D": _convolution,
        "FULLY_CONNECTED": _fully_connected,
        "DEPTHWISE_CONV_2D": _depthwise,
        "AVERAGE_POOL_2D": _pooling,
        "MAX_POOL_2D": _pooling,
        "EXPAND_DIMS": _reshape,
        "RESHAPE": _reshape,
        "SQUEEZE": _reshape,
        "RESIZE_NEAREST_NEIGHBOR": Channelwise,
        "TRANSPOSE": _transpose,
    }.get(op.name)
    try:
        return read(OpView(graph, op)) if read else None
    except ModelError:
        return None


def channel_ranges(graph: Graph, steps: Mapping[int, Step]) -> dict[int, ChannelRange]:
    """For each tensor that comes out of one of `steps` (by the op's index), the ranges of its channels."""
    ranges: dict[int, ChannelRange] = {}
    for op in graph.ops:
        if step := steps.get(op.index):
            input_ = step.view.activation(0)
            before = ranges.get(input_.index) or _anything(input_)
            ranges[op.outputs[0]] = _range_after(step, before)
    return ranges


# -- what an op does ----------------------------------------------------------------------------------------------


def _convolution(view: OpView) -> Filter | None:
    input_, filter_ = view.activation(0, rank=4), read_filter(view, rank=4, channel_axis=0)
    channels, height, width, depth = filter_.shape
    if depth != input_.shape[3]:  # in groups
        return None
    window = sliding_window(view, input_, height, width, dilated=True)
    weights = _values(filter_).reshape(channels, height * width, depth)
    return Filter(view, weights, product_scales(input_, filter_), reads_padding=not window.stays_inside)


def _fully_connected(view: OpView) -> Filter | None:
    input_, filter_ = view.activation(0), read_filter(view, rank=2, channel_axis=0)
    if input_.shape[-1:] != filter_.shape[1:]:  # a row is more than the channels
        return None
    return Filter(view, _values(filter_)[:, None], product_scales(input_, filter_), reads_padding=False)


def _depthwise(view: OpView) -> Channelwise | None:
    input_, filter_ = view.activation(0, rank=4), read_filter(view, rank=4, channel_axis=3)
    _, height, width, channels = filter_.shape
    if channels != input_.shape[3]:
        return None
    window = sliding_window(view, input_, height, width, dilated=True)
    weights = _values(filter_).reshape(height * width, channels).T[..., None]
    filter_step = Filter(view, weights, product_scales(input_, filter_), reads_padding=not window.stays_inside)
    return Channelwise(view, filter_step)


def _pooling(view: OpView) -> Channelwise | None:
    return Channelwise(view) if view.activation_range(view.output()) == (-128, 127) else None


def _reshape(view: OpView) -> Channelwise | None:
    return Channelwise(view) if view.activation(0).shape[-1:] == view.output().shape[-1:] != () else None


def _transpose(view: OpView) -> Channelwise | None:
    input_ = view.activation(0)
    return Channelwise(view) if read_permutation(view, input_)[-1] == len(input_.shape) - 1 else None


def _values(tensor: Tensor) -> Int64:
    assert tensor.data is not None
    return tensor.data.astype(np.int64)


# -- intervals ----------------------------------------------------------------------------------------------------


def _anything(tensor: Tensor) -> ChannelRange:
    assert tensor.dtype is DType.INT8
    channels = tensor.shape[-1]
    return ChannelRange(np.full(channels, -128), np.full(channels, 127))


def _range_after(step: Step, before: ChannelRange) -> ChannelRange:
    if isinstance(step, Filter):
        return _filtered(step, before.low[None, None], before.high[None, None])
    if step.depthwise is not None:
        return _filtered(step.depthwise, before.low[:, None, None], before.high[:, None, None])
    return before  # an average, a maximum or a copy lies where its inputs lie


def _filtered(step: Filter, low: Int64, high: Int64) -> ChannelRange:
    """Ranges after a filter; `low` and `high` broadcast to its weights."""
    view = step.view
    zero_point = view.activation(0).zero_point
    low, high = low - zero_point, high - zero_point
    if step.reads_padding:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    products = step.weights * low, step.weights * high
    channels = len(step.weights)
    constants = filter_constants(view, step.weights.reshape(channels, -1), scales=step.scales)
    bias = constants.bias.values.astype(np.int64)
    sums = bias + np.minimum(*products).sum(axis=(1, 2)), bias + np.maximum(*products).sum(axis=(1, 2))
    multiplier, shift = (np.resize(c.values, channels).tolist() for c in (constants.multiplier, constants.shift))
    output = view.output()
    least, most = view.activation_range(output)
    outputs = [np.full(channels, least), np.full(channels, most)]
    for end, values in zip(sums, outputs, strict=True):
        for channel in range(channels):
            if shift[channel] <= 0:  # to the left, TFLM's sums could overflow
                scaled = rescale(int(end[channel]), multiplier[channel], shift[channel]) + output.zero_point
                values[channel] = min(most, max(least, scaled))
    return ChannelRange(*outputs)
