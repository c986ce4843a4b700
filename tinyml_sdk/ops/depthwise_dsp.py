"""DEPTHWISE_CONV_2D 3x3 for cores with the DSP extension: when it is exact, and what it costs.

The kernel (`tinyml_dsp_depthwise.h`) adds an output's zero point and rounding before the last shift, in 32 bits.
Whether that is exact is a question of each channel's largest sum and shift, which are constants of the model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .base import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from .overlap import IN_PLACE
from .selection import Candidate
from .weights import FilterConstants
from .window import Window

__all__ = ["dsp_depthwise"]

_LARGEST_SHIFT = 22
"""(zero point + 1/2) x 2^shift and a product of up to 30 bits still fit 32 bits together."""

_DOUBLED_LIMIT = 2**30
"""The kernel computes twice the sum in 32 bits."""

_LANES, _LINES, _WORD = 2, 2, 4
"""Channels at a time; lines of two rows that an output needs; bytes of a column of such a line."""


def dsp_depthwise(
    view: OpView, window: Window, constants: FilterConstants, input_: Tensor, portable: Layer
) -> Candidate | None:
    """The layer for the DSP extension, or None where its shape or its numbers are not covered.

    Args:
        view: The op.
        window: Its geometry.
        constants: Those of the portable layer, with the input's zero point in the bias.
        input_: The input tensor.
        portable: The layer that is replaced.
    """
    channels = input_.shape[3]
    shifts = _shifts(constants)
    if shifts is None or channels < _LANES or not _is_covered(window, view, channels):
        return None
    stride, form = window.stride_width, _form(constants.requantization)
    layer = Layer(
        op=view.op,
        kernel=f"tinyml_dsp_depthwise_stride{stride}_{form}",
        header="tinyml_dsp_depthwise.h",
        arguments=(
            _parameters(window, constants, input_),
            Input(0),
            constants.weights,
            constants.bias,
            constants.multiplier,
            Constant("shift", shifts),
            Output(),
            Scratch(),
        ),
        macs=portable.macs,
        lead=(IN_PLACE, None, None),
        scratch_bytes=_LANES * _LINES * _WORD * ((window.output_width - 1) * stride + 3),
    )
    return Candidate(layer, _cost(window, form, channels), frozenset({"dsp"}))


def _is_covered(window: Window, view: OpView, channels: int) -> bool:
    strides = (window.stride_height, window.stride_width)
    return (
        (window.filter_height, window.filter_width) == (3, 3)
        and strides in ((1, 1), (2, 2))
        and (window.dilation_height, window.dilation_width) == (1, 1)
        and view.output().shape[3] == channels
    )


def _shifts(constants: FilterConstants) -> npt.NDArray[np.int8] | None:
    """Shifts with which the kernel is exact, or None where it is not.

    Channels that training has switched off have tiny scales. With a multiplier of 0 any shift will do; and a channel
    whose sums are all below 2^21 is zero after a shift of 22 as it is after a larger one.
    """
    weights = constants.weights.values.astype(np.int64)
    largest_sum = np.abs(constants.bias.values.astype(np.int64)) + 128 * np.abs(weights).sum(axis=1)
    shifts = np.where(constants.multiplier.values == 0, -1, constants.shift.values.astype(np.int64))
    if shifts.max() >= 0 or largest_sum.max() >= _DOUBLED_LIMIT:
        return None
    if np.any((shifts < -_LARGEST_SHIFT) & (largest_sum >= 2 ** (_LARGEST_SHIFT - 1))):
        return None
    return np.maximum(shifts, -_LARGEST_SHIFT).astype(np.int8)


def _form(requantization: Mapping[str, ParameterValue]) -> str:
    """How sums become outputs: `relu` and `signed` where saturation is all the clamp there is.

    With `relu`, everything below the zero point ends at it, so that negative ties may round either way.
    """
    if (requantization["activation_min"], requantization["activation_max"]) != (-128, 127):
        return "clamp"
    return "relu" if requantization["output_zero_point"] == -128 else "signed"


def _parameters(window: Window, constants: FilterConstants, input_: Tensor) -> Parameters:
    requantization = constants.requantization
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
            **{
                name: requantization[name]
                for name in ("output_zero_point", "activation_min", "activation_max", "channel_step")
            },
        },
    )


def _cost(window: Window, form: str, channels: int) -> float:
    """Instructions, as counted in the kernel: fits the measured layers within a tenth."""
    stride, width = window.stride_width, window.output_width
    if form == "clamp":
        walk = width * {1: 80.0, 2: 40.0}[stride]
    else:
        walk = width // 2 * {1: 54.0, 2: 33.0}[stride] + width % 2 * {1: 32.0, 2: 22.0}[stride]
        walk += {"relu": 0.0, "signed": 4.0 / stride}[form] * width
    fill = 32.0 + 8.5 * window.input_width
    lines = -(-window.output_height * stride // 2)
    pair_of_channels = 200.0 + fill + lines * (fill + 17.0 + 2.0 * (walk + 16.0))
    return window.batches * -(-channels // 2) * pair_of_channels + 300.0
