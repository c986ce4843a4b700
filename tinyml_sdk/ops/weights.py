"""The constants of layers with weights: filters, biases and requantization, checked and laid out for the kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import DType, Tensor
from .arithmetic import quantize_multiplier
from .base import Constant, OpView, ParameterValue

__all__ = ["FilterConstants", "filter_channels", "filter_constants", "product_scales", "read_bias", "read_filter"]

_INT32_LIMIT = 2**31


@dataclass(frozen=True, eq=False)
class FilterConstants:
    """What a kernel with weights takes after its input, and the struct `tinyml_requantization` that goes with it."""

    weights: Constant
    bias: Constant
    multiplier: Constant
    shift: Constant
    requantization: dict[str, ParameterValue]

    @property
    def arguments(self) -> tuple[Constant, Constant, Constant, Constant]:
        """In the order of every kernel's parameters."""
        return self.weights, self.bias, self.multiplier, self.shift


def read_filter(view: OpView, rank: int, channel_axis: int) -> Tensor:
    """The op's second input: constant int8 weights, symmetric, with one scale or one for each output channel."""
    view.constant(1, DType.INT8, rank=rank)
    tensor = view.input(1, DType.INT8)
    quantization = tensor.quantization
    assert quantization is not None  # view.input has checked it
    if any(quantization.zero_point):
        raise view.fail("input 1: quantization", "weights must be symmetric: their zero point is not 0")
    if quantization.per_channel and quantization.axis != channel_axis:
        raise view.fail("input 1: quantization", f"axis is {quantization.axis}; output channels lie on {channel_axis}")
    return tensor


def read_bias(view: OpView, channels: int, bias_input: int = 2) -> npt.NDArray[np.int64]:
    """An int32 input, the op's third unless said, as int64 of shape (channels,); zeros where it is left out."""
    if view.optional_input(bias_input) is None:
        return np.zeros(channels, np.int64)
    bias = view.constant(bias_input, DType.INT32)
    if bias.shape != (channels,):
        raise view.fail(f"input {bias_input}: shape", f"is {list(bias.shape)}, not [{channels}]")
    return bias.astype(np.int64)


def filter_channels(filter_: Tensor) -> npt.NDArray[np.generic]:
    """The weights as (output channels, products of a channel), for filters whose first axis is the channel."""
    assert filter_.data is not None
    return filter_.data.reshape(filter_.shape[0], -1)


def product_scales(input_: Tensor, filter_: Tensor) -> tuple[float, ...]:
    """Input scale x filter scale, one or one for each channel, in double precision as convolutions have it."""
    assert filter_.quantization is not None
    return tuple(input_.scale * scale for scale in filter_.quantization.scale)


def filter_constants(
    view: OpView,
    weights: npt.NDArray[np.generic],
    *,
    scales: tuple[float, ...],
    fold_zero_point: int = 0,
    bias_input: int = 2,
) -> FilterConstants:
    """The constants of a layer whose weights are given as int8 of shape (output channels, products of a channel).

    Args:
        view: The op, for its bias, output and activation.
        weights: In the order in which the kernel reads them, channel by channel.
        scales: The accumulator's real value of 1 (see `product_scales`): one, or one for each channel.
        fold_zero_point: The input's zero point where the kernel multiplies raw inputs: goes into the bias.
        bias_input: Which of the op's inputs the bias is.

    Raises:
        ModelError: an accumulator could leave 32 bits, which no trained model does.
    """
    output = view.output()
    channels = weights.shape[0]
    wide = weights.astype(np.int64)
    bias = read_bias(view, channels, bias_input)
    folded = bias - fold_zero_point * wide.sum(axis=1)
    # |input - zero point| <= 255, with either form of the sum and at every step of it.
    reach = np.maximum(np.abs(bias), np.abs(folded)) + 255 * np.abs(wide).sum(axis=1)
    if int(reach.max()) >= _INT32_LIMIT:
        raise view.fail(f"input {bias_input}", f"the accumulator of channel {int(reach.argmax())} can overflow 32 bits")
    multipliers, shifts = zip(*(quantize_multiplier(scale / output.scale) for scale in scales), strict=True)
    if max(shifts) > 30:
        raise view.fail("quantization", "the scales of input, weights and output differ by more than 2^30")
    low, high = view.activation_range(output)
    return FilterConstants(
        weights=Constant("weights", weights.astype(np.int8)),
        bias=Constant("bias", folded.astype(np.int32)),
        multiplier=Constant("multiplier", np.array(multipliers, np.int32)),
        shift=Constant("shift", np.array(shifts, np.int8)),
        requantization={
            "output_zero_point": output.zero_point,
            "activation_min": low,
            "activation_max": high,
            "channel_step": int(len(multipliers) > 1),
            "scaling": _scaling(int(reach.max()), shifts),
        },
    )


def _scaling(reach: int, shifts: tuple[int, ...]) -> str:
    """Which of the requantization's forms is exact: the cheapest whose conditions hold for every channel."""
    if max(shifts) < 0 and reach < 2**30:
        return "TINYML_SCALE_SMALL"
    return "TINYML_SCALE_DOWN" if max(shifts) <= 0 else "TINYML_SCALE_ANY"
