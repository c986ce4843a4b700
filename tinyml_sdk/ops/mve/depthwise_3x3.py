"""DEPTHWISE_CONV_2D 3x3 for cores with MVE: the layout of its constants, and which form of the outputs is exact.

The kernel is `firmware_templates/kernels/mve/tinyml_mve_depthwise.h`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...graph import Tensor
from ..base import Constant, Input, Layer, OpView, Output, Parameters, Scratch
from ..overlap import IN_PLACE
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .matrix import MVE, VECTOR, requantization_form

__all__ = ["mve_depthwise"]

_KERNEL = "tinyml_mve_depthwise"

_LANES, _COLUMN = 16, 32  # TINYML_MVE_DEPTHWISE_LANES, TINYML_MVE_DEPTHWISE_COLUMN

_OFFSET_LIMIT = 2**16
"""A vector is gathered from two lines by offsets of 16 bits."""

_LARGEST_SHIFT = 22
"""The output's zero point, that far to the left, still fits 32 bits."""


def mve_depthwise(
    view: OpView, window: Window, constants: FilterConstants, input_: Tensor, portable: Layer
) -> Candidate | Refusal:
    """The layer for MVE, or why its shape or its numbers are not covered.

    Args:
        view: The op.
        window: Its geometry.
        constants: Those of the portable layer, with the input's zero point in the bias.
        input_: The input tensor.
        portable: The layer that is replaced.
    """
    channels, stride = input_.shape[3], window.stride_width
    if not window.is_small_square or view.output().shape[3] != channels:
        return Refusal(_KERNEL, "it is for 3x3 filters of stride 1 or 2, one for each channel")
    at_once = 2 if stride == 1 else 4
    columns = -(-window.output_width // at_once) * at_once * stride + 2
    if (columns + 4) * _COLUMN > _OFFSET_LIMIT:
        return Refusal(_KERNEL, "its rows are too long")
    if int(constants.shift.values.max()) > 0:
        return Refusal(_KERNEL, "a scale is 1 or more")
    form, filters = _filters(constants)
    requantization = constants.requantization
    parameters = Parameters(
        "tinyml_mve_depthwise_params",
        {
            "batches": window.batches,
            "input_height": window.input_height,
            "input_width": window.input_width,
            "output_height": window.output_height,
            "output_width": window.output_width,
            "padding_top": window.padding_top,
            "padding_left": window.padding_left,
            "channels": channels,
            "input_zero_point": input_.zero_point,
            "line_columns": columns,
            "output_zero_point": requantization["output_zero_point"],
            "activation_min": requantization["activation_min"],
            "activation_max": requantization["activation_max"],
        },
    )
    layer = Layer(
        op=view.op,
        kernel=f"{_KERNEL}_stride{stride}_{form}",
        header="mve/tinyml_mve_depthwise.h",
        arguments=(parameters, Input(0), filters, Output(), Scratch()),
        macs=portable.macs,
        lead=(IN_PLACE, None, None),
        scratch_bytes=2 * _COLUMN * columns + VECTOR,
        shared=True,
    )
    return Candidate(layer, _cost(window, form, channels), MVE)


def _filters(constants: FilterConstants) -> tuple[str, Constant]:
    """The cheapest form that is exact, and for each channel its weights by columns, shift, bias and multiplier."""
    weights = constants.weights.values.astype(np.int64)
    count = len(weights)
    multiplier, shift = (
        np.resize(constant.values, count).astype(np.int64) for constant in (constants.multiplier, constants.shift)
    )
    bias = constants.bias.values.astype(np.int64)
    form = requantization_form(constants)
    if form != "general":
        # Channels that training has switched off have tiny scales: what is less than 2^21 is 0 after any such shift.
        reach = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
        if np.any((shift < -_LARGEST_SHIFT) & (reach >= 2 ** (_LARGEST_SHIFT - 1))):
            form = "general"
        else:
            shift = np.maximum(shift, -_LARGEST_SHIFT)
    columns: npt.NDArray[np.int8] = np.zeros((count, 3, 4), np.int8)
    columns[..., :3] = weights.reshape(count, 3, 3).transpose(0, 2, 1)
    columns[:, 0, 3] = shift
    words = columns.reshape(count, -1).view(np.int32)
    filters = np.concatenate([words, np.stack([bias, multiplier], axis=1).astype(np.int32)], axis=1)
    return form, Constant("filters", filters)


def _cost(window: Window, form: str, channels: int) -> float:
    """Instructions, as counted in the kernel."""
    stride, width = window.stride_width, window.output_width
    vector = {"clamped": 17.0, "signed": 19.0, "general": 40.0}[form] + (6.0 if stride == 2 else 0.0)
    vectors = -(-width // (2 if stride == 1 else 4))
    lines = -(-window.output_height * stride // 2)
    groups = -(-channels // _LANES)
    filling = groups * (lines + 1) * (40.0 + 8.0 * window.input_width)
    writing = groups * lines * 90.0 + channels * lines * (28.0 + vector * vectors)
    return window.batches * (filling + writing) + 400.0
