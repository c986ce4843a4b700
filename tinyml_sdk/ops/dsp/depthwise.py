"""DEPTHWISE_CONV_2D 3x3 for cores with the DSP extension: when it is exact, and what it costs.

The kernel (`tinyml_dsp_depthwise.h`) scales each channel's weights by a power of two, so that one multiply-add and one
saturating shift, the same for all channels, make an output of a sum. Whether that is exact is a question of each
channel's sums, multiplier and shift, which are constants of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...graph import Tensor
from ..base import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from ..fixed_point import rescale
from ..overlap import IN_PLACE, window_lead
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .matrix import DSP, scaled_channels

__all__ = [
    "NO_EXACT_FORM",
    "ScaledDepthwise",
    "depthwise_scaling",
    "dsp_depthwise",
    "dsp_depthwise_taps",
    "scaled_depthwise",
]

NO_EXACT_FORM = "its sums or shifts leave no exact form"
"""Why a layer for which `scaled_depthwise` has none is not computed by such a kernel."""

_FRACTION = 10  # TINYML_DSP_DEPTHWISE_FRACTION
_LARGEST_WEIGHT = 2**15 - 1
"""Once scaled, in 16 bits. int8 weights have room for a shift of 8, int4 ones for all there are."""

_PROOF_LIMIT = 1 << 20
"""Sums of a channel that are tried one by one."""

_LARGEST_SHIFT = 22
"""(zero point + 1/2) x 2^shift and a product of up to 30 bits still fit 32 bits together."""

_DOUBLED_LIMIT = 2**30
"""The general form computes twice the sum in 32 bits."""

_LANES, _LINES, _WORD = 4, 2, 4
"""Channels at a time; lines of two rows that an output needs; bytes of a column of such a line."""

_MOST_TAPS = 64  # TINYML_DEPTHWISE_TAPS

_TAPS = [0, 1, 3, 4, 2, 6, 5, 7, 8]
"""The order in which the kernel takes a channel's weights apart."""

Int64 = npt.NDArray[np.int64]


def dsp_depthwise(
    view: OpView, window: Window, constants: FilterConstants, input_: Tensor, portable: Layer
) -> Candidate | Refusal:
    """The layer for the DSP extension, or why its shape or its numbers are not covered.

    Args:
        view: The op.
        window: Its geometry.
        constants: Those of the portable layer, with the input's zero point in the bias.
        input_: The input tensor.
        portable: The layer that is replaced.
    """
    channels = input_.shape[3]
    if channels < _LANES or not window.is_small_square or view.output().shape[3] != channels:
        return Refusal("tinyml_dsp_depthwise", "it is for 3x3 filters of stride 1 or 2 over four channels or more")
    numbers = scaled_depthwise(constants)
    if numbers is None:
        return Refusal("tinyml_dsp_depthwise", NO_EXACT_FORM)
    form, stride = numbers.form, window.stride_width
    layer = Layer(
        op=view.op,
        kernel=f"tinyml_dsp_depthwise_stride{stride}_{form}",
        header="dsp/tinyml_dsp_depthwise.h",
        arguments=(
            _parameters(window, constants, input_, form),
            Input(0),
            *numbers.arguments(_TAPS),
            Output(),
            Scratch(),
        ),
        macs=portable.macs,
        lead=(IN_PLACE, None, None),
        scratch_bytes=_LANES * _LINES * _WORD * ((window.output_width - 1) * stride + 3),
        shared=True,
    )
    return Candidate(layer, _cost(window, form, channels), DSP, code_bytes=350)


def dsp_depthwise_taps(
    view: OpView, window: Window, constants: FilterConstants, multiplier: int
) -> Candidate | Refusal:
    """The kernel for any filter and depth multiplier, `depthwise_conv_2d_dsp.h`: as exact as the portable one.

    Args:
        view: The op.
        window: Its geometry.
        constants: Those of the portable layer, with the input's zero point in the bias.
        multiplier: Output channels of an input channel.
    """
    input_, output = view.activation(0), view.output()
    channels = output.shape[3]
    taps = window.filter_height * window.filter_width
    if taps > _MOST_TAPS:
        return Refusal("tinyml_depthwise_conv_2d_dsp", f"it is for filters of up to {_MOST_TAPS} taps")
    in_words = channels // _LANES if multiplier == 1 else 0
    scaled = scaled_channels(constants)
    parameters = Parameters(
        "tinyml_depthwise_conv_2d_dsp_params",
        {
            "window": window.parameters,
            "input_channels": input_.shape[3],
            "depth_multiplier": multiplier,
            "input_zero_point": input_.zero_point,
            "output": constants.requantization,
        },
    )
    layer = Layer(
        op=view.op,
        kernel=f"tinyml_depthwise_conv_2d_dsp_{scaled.form}",
        header="dsp/depthwise_conv_2d_dsp.h",
        arguments=(
            parameters,
            Input(0),
            Constant("weights", _pairs_of_taps(scaled.weights)),
            Constant("bias", scaled.bias.astype(np.int32)),
            Constant("scale", scaled.scale),
            Constant("shift", scaled.shift),
            Output(),
            Scratch(),
        ),
        macs=output.elements * taps,
        lead=(window_lead(window, input_channels=input_.shape[3], output_channels=channels, channelwise=True),),
        scratch_bytes=input_.shape[3],
        shared=True,
    )
    pixels, pairs = output.elements // channels, -(-taps // 2)
    finding = 100 + 26 * window.filter_height + 5 * taps
    scaling = {"clamped": 60, "signed": 76, "general": 140}[scaled.form]
    blocks = in_words * (scaling + 23 * pairs) + (-(-channels // _LANES) - in_words) * (scaling + 80 + 60 * pairs)
    return Candidate(layer, pixels * (finding + blocks), DSP, code_bytes=900)


def _pairs_of_taps(weights: Int64) -> npt.NDArray[np.int32]:
    """Weights (channels, taps) as the kernel reads them, both padded with zeros."""
    count, taps = weights.shape
    blocks = np.pad(weights, ((0, -count % _LANES), (0, taps % 2)))
    # (block, half, lane of it, pair, tap) -> (block, pair, half, tap, lane): a half is a word.
    pairs = blocks.reshape(-1, 2, 2, blocks.shape[1] // 2, 2).transpose(0, 3, 1, 4, 2)
    words: npt.NDArray[np.int32] = pairs.astype(np.int8).reshape(-1).view("<i4").astype(np.int32)
    return words


# -- exactness ----------------------------------------------------------------------------------------------------


@dataclass
class ScaledDepthwise:
    """The kernels' constants, one entry for each channel, and how sums become outputs. Weights: (channels, taps)."""

    weights: Int64
    bias: Int64
    multiplier: Int64
    shift: Int64
    form: str = "clamp"

    @classmethod
    def of(cls, constants: FilterConstants) -> ScaledDepthwise:
        """As the portable kernel has them, with a multiplier and shift for each channel."""
        count = len(constants.weights.values)
        return cls(
            constants.weights.values.astype(np.int64),
            constants.bias.values.astype(np.int64),
            np.resize(constants.multiplier.values.astype(np.int64), count),
            np.resize(constants.shift.values.astype(np.int64), count),
        )

    @property
    def low(self) -> Int64:
        """The least sum of each channel."""
        low: Int64 = self.bias + np.minimum(-128 * self.weights, 127 * self.weights).sum(axis=1)
        return low

    @property
    def high(self) -> Int64:
        """The largest sum of each channel."""
        high: Int64 = self.bias + np.maximum(-128 * self.weights, 127 * self.weights).sum(axis=1)
        return high

    def arguments(self, taps: Sequence[int]) -> tuple[Constant, Constant, Constant, Constant]:
        """In the order of the kernels' parameters; weights in that of `taps`."""
        return (
            Constant("weights", self.weights[:, taps].astype(np.int8)),
            Constant("bias", self.bias.astype(np.int32)),
            Constant("multiplier", self.multiplier.astype(np.int32)),
            Constant("shift", self.shift.astype(np.int8)),
        )


def scaled_depthwise(constants: FilterConstants) -> ScaledDepthwise | None:
    """The cheapest form that is exact, of a layer with the input's zero point in the bias; None where there is none."""
    form = _form(constants.requantization)
    numbers = _saturated(constants, form) if form != "clamp" else None
    return numbers or _general(constants)


def _general(constants: FilterConstants) -> ScaledDepthwise | None:
    """Constants for the form `clamp`, or None where it is not exact.

    Channels that training has switched off have tiny scales. With a multiplier of 0 any shift will do; and a channel
    whose sums are all below 2^21 is zero after a shift of 22 as it is after a larger one.
    """
    channels = ScaledDepthwise.of(constants)
    largest_sum = np.maximum(np.abs(channels.low), np.abs(channels.high))
    shifts = np.where(channels.multiplier == 0, 1, -channels.shift)
    if shifts.min() <= 0 or largest_sum.max() >= _DOUBLED_LIMIT:
        return None
    if np.any((shifts > _LARGEST_SHIFT) & (largest_sum >= 2 ** (_LARGEST_SHIFT - 1))):
        return None
    return replace(channels, bias=2 * channels.bias, shift=np.minimum(shifts, _LARGEST_SHIFT))


def _saturated(constants: FilterConstants, form: str) -> ScaledDepthwise | None:
    """Constants for the form `relu` or `signed`, or None where some channel has none that are exact.

    The proof is that of `dsp._requantization`, with another fraction: shifts of the weights from 2 to 10, as far as 16
    bits go. Channels of smaller scales, which are nearly switched off, are tried sum by sum.
    """
    channels = ScaledDepthwise.of(constants)
    zero_point = constants.requantization["output_zero_point"]
    assert isinstance(zero_point, int)
    left = _FRACTION + 1 + channels.shift
    room = np.int64(1) << (31 - np.clip(left, 0, 31))
    fits = np.abs(channels.weights).max(axis=1) << np.clip(left, 0, 15) <= _LARGEST_WEIGHT
    exact = (left >= 2) & (channels.shift < 0) & fits & (channels.low >= -room) & (channels.high < room)
    weights, multiplier = channels.weights.copy(), channels.multiplier.copy()
    result = ScaledDepthwise(weights, channels.bias << np.maximum(left, 0), multiplier, left, form)
    for channel in np.flatnonzero(~exact).tolist():
        if not _settle(result, channels, channel, zero_point, form):
            return None
    return result


def _settle(result: ScaledDepthwise, channels: ScaledDepthwise, channel: int, zero_point: int, form: str) -> bool:
    """Find constants for a channel of extreme scale: those of a constant, or a shorter multiplier. False if none do."""
    low, high = int(channels.low[channel]), int(channels.high[channel])
    multiplier, shift = int(channels.multiplier[channel]), int(channels.shift[channel])
    if shift > 0:
        return False
    ends = [rescale(end, multiplier, shift) for end in (low, high)]
    if ends[0] == ends[1]:
        result.weights[channel] = 0
        result.multiplier[channel], result.shift[channel] = 1 << 30, 0
        result.bias[channel] = min(255, max(-255, ends[0])) << (_FRACTION + 2)
        return True
    left = _FRACTION + 1 + shift
    if left >= 2 or high - low > _PROOF_LIMIT:
        return False
    sums = np.arange(low, high + 1)
    rounded = (sums * multiplier + (1 << 30)) >> 31
    half = (1 << -shift) >> 1
    wanted = np.clip(((rounded + half - (rounded < 0)) >> -shift) + zero_point, -128, 127)
    # Both are monotonic, so that they are equal where they are so about each of the few steps.
    steps = np.flatnonzero(np.diff(wanted))
    tried = np.concatenate([[0, len(sums) - 1], steps, steps + 1])
    sums, wanted = sums[tried], wanted[tried]
    for kept in (4, 3, 2, 1, 0):
        shorter = round(multiplier * 2.0 ** (left - kept))
        if shorter == 0 or max(-low, high) >= 1 << 25:
            continue
        # The kernel adds 2^(k-2) where 2^(left-2) is due: what that is in sums goes into the bias.
        rounding = (1 << kept) >> 2
        more = round((2.0 ** (left - 2) - rounding) * 2**32 / shorter)
        scaled = (sums << kept) + more
        offset = ((2 * zero_point + 1) << (_FRACTION - 1)) + rounding
        taken = 2 * rounding * (scaled < 0) if form == "signed" else 0
        got = (((scaled * shorter) >> 32) + offset - taken) >> _FRACTION
        if np.abs(scaled).max() < 2**31 and (np.clip(got, -128, 127) == wanted).all():
            result.multiplier[channel], result.shift[channel] = shorter, kept
            result.bias[channel] = (int(channels.bias[channel]) << kept) + more
            return True
    return False


def _form(requantization: Mapping[str, ParameterValue]) -> str:
    """How sums become outputs: `relu` and `signed` where saturation is all the clamp there is.

    With `relu`, everything below the zero point ends at it, so that negative ties may round either way.
    """
    if (requantization["activation_min"], requantization["activation_max"]) != (-128, 127):
        return "clamp"
    return "relu" if requantization["output_zero_point"] == -128 else "signed"


def depthwise_scaling(requantization: Mapping[str, ParameterValue], form: str) -> dict[str, ParameterValue]:
    """The fields of the C struct `tinyml_dsp_depthwise_scaling`."""
    zero_point = requantization["output_zero_point"]
    assert isinstance(zero_point, int)
    rounding = 2 * zero_point + 1
    return {
        "offset": rounding << (_FRACTION - 1) if form != "clamp" else rounding,
        "shift_mask": 15 if form != "clamp" else 0,
        "shift_base": 0 if form != "clamp" else 1,
        "activation_min": requantization["activation_min"],
        "activation_max": requantization["activation_max"],
    }


def _parameters(window: Window, constants: FilterConstants, input_: Tensor, form: str) -> Parameters:
    return Parameters(
        "tinyml_dsp_depthwise_params",
        {
            "batches": window.batches,
            "input_height": window.input_height,
            "input_width": window.input_width,
            "output_height": window.output_height,
            "output_width": window.output_width,
            "padding_top": window.padding_top,
            "padding_left": window.padding_left,
            "channels": input_.shape[3],
            "input_zero_point": input_.zero_point,
            "scaling": depthwise_scaling(constants.requantization, form),
        },
    )


def _cost(window: Window, form: str, channels: int) -> float:
    """Instructions, as counted in the kernel: fits the measured layers within a tenth."""
    stride, width = window.stride_width, window.output_width
    if form == "clamp":
        walk = width * {1: 80.0, 2: 40.0}[stride]
    else:
        walk = width // 2 * {1: 50.0, 2: 30.0}[stride] + width % 2 * {1: 29.0, 2: 20.0}[stride]
        walk += {"relu": 0.0, "signed": 4.5 / stride}[form] * width
    lines = -(-window.output_height * stride // 2)
    fills = 2 * (40.0 + 18.0 * window.input_width) + (lines - 1) * (45.0 + 12.0 * window.input_width)
    group = 400.0 + fills + lines * (17.0 + _LANES * (walk + 16.0))
    return window.batches * -(-channels // _LANES) * group + 300.0
