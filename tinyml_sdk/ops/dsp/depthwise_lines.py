"""DEPTHWISE_CONV_2D of other than 3x3 for cores with the DSP extension: when it applies, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...graph import Tensor
from ..base import Input, Layer, OpView, Output, Parameters, Scratch
from ..overlap import window_lead
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .depthwise import NO_EXACT_FORM, depthwise_scaling, scaled_depthwise
from .matrix import DSP

__all__ = ["dsp_depthwise_lines"]

_KERNEL = "tinyml_dsp_depthwise_lines"
_LANES = 4  # TINYML_DSP_LINES_LANES
_MOST_PAIRS = 6
"""For which there is an instance in assembler."""

_BLOCK = 4
"""Outputs of a row that are computed together."""


def dsp_depthwise_lines(
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
    filters = input_.shape[3]
    if view.output().shape[3] != filters:
        return Refusal(_KERNEL, "it is for one output a channel")
    window, channels = _along_rows(window, filters)
    if channels < _LANES:
        return Refusal(_KERNEL, "it is for four channels or more")
    if window.stride_width > 2 or _is_strided_and_dilated(window):
        return Refusal(_KERNEL, "it is for a stride of 1 or 2 along the width, and of 1 where the filter is dilated")
    lead = _lead(window) * channels
    others = window_lead(window, input_channels=channels, output_channels=channels, channelwise=True)
    if lead > others + window.input_width * channels:
        return Refusal(_KERNEL, "with this dilation its output could lie over less of its input")
    numbers = scaled_depthwise(constants)
    if numbers is None:
        return Refusal(_KERNEL, NO_EXACT_FORM)
    stride = window.stride_width
    pairs = window.filter_width // 2 + 1 if stride == 1 else -(-window.filter_width // 2)
    columns = -(-window.output_width // window.dilation_width)
    line_words = -(-columns // _BLOCK) * 2 * stride + pairs
    parameters = Parameters(
        "tinyml_dsp_depthwise_lines_params",
        {
            "window": window.parameters,
            "channels": channels,
            "filters": filters,
            "pairs": pairs,
            "line_words": line_words,
            "row": f"tinyml_dsp_lines_{stride}_{_instance(pairs, numbers.form)}_{numbers.form}",
            "scaling": depthwise_scaling(constants.requantization, numbers.form),
            "input_zero_point": input_.zero_point,
        },
    )
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="dsp/tinyml_dsp_depthwise_lines.h",
        arguments=(parameters, Input(0), *numbers.arguments(range(numbers.weights.shape[1])), Output(), Scratch()),
        macs=portable.macs,
        lead=(lead, None, None),
        scratch_bytes=4 * _LANES * window.filter_height * (line_words + 2 * pairs * (3 - stride)),
        shared=True,
    )
    return Candidate(layer, _cost(window, numbers.form, channels, pairs), DSP, code_bytes=1000)


def _instance(pairs: int, form: str) -> str:
    """Which of the functions for a row it is: the compiler's serves any number of pairs and any form."""
    return str(pairs) if pairs <= _MOST_PAIRS and form != "clamp" else "any"


def _along_rows(window: Window, channels: int) -> tuple[Window, int]:
    """A filter of a single column as one of a single row: each of the image's columns has channels of its own."""
    keeps_columns = window.filter_width == 1 and window.padding_left == 0 and window.output_width == window.input_width
    if not keeps_columns or window.filter_height == 1:
        return window, channels
    turned = replace(
        window,
        input_height=1,
        input_width=window.input_height,
        output_height=1,
        output_width=window.output_height,
        filter_height=1,
        filter_width=window.filter_height,
        stride_height=1,
        stride_width=window.stride_height,
        dilation_height=1,
        dilation_width=window.dilation_height,
        padding_top=0,
        padding_left=window.padding_top,
    )
    return turned, channels * window.input_width


def _is_strided_and_dilated(window: Window) -> bool:
    axes = (window.stride_height, window.dilation_height), (window.stride_width, window.dilation_width)
    return any(stride > 1 and dilation > 1 for stride, dilation in axes)


def _lead(window: Window) -> int:
    """The least distance in pixels: a row of outputs must end at or below the first pixel that is read after it.

    Parts of the image, row by row: those of a dilated filter are every so many of its rows and columns.
    """
    first_read: list[int] = []
    last_written: list[int] = []
    never = window.batches * window.input_height * window.input_width
    for batch in range(window.batches):
        for phase_y in range(min(window.dilation_height, window.output_height)):
            row, padding = _part(phase_y, window.dilation_height, window.padding_top)
            rows = range(row, window.input_height, window.dilation_height)
            for phase_x in range(min(window.dilation_width, window.output_width)):
                column, _ = _part(phase_x, window.dilation_width, window.padding_left)
                outputs = range(phase_x, window.output_width, window.dilation_width)
                known = 0
                for place, line in enumerate(range(phase_y, window.output_height, window.dilation_height)):
                    reached = place * window.stride_height - padding + window.filter_height
                    fresh = rows[known:reached] if reached > known else range(0)
                    known = max(known, reached)
                    start = batch * window.input_height + (fresh[0] if fresh else 0)
                    first_read.append(start * window.input_width + column if fresh else never)
                    output_row = batch * window.output_height + line
                    last_written.append(output_row * window.output_width + outputs[-1])
    read_later = np.minimum.accumulate(np.array([*first_read[1:], never])[::-1])[::-1]
    return max(0, int((np.array(last_written) + 1 - read_later).max()))


def _part(phase: int, dilation: int, padding: int) -> tuple[int, int]:
    """The first input position of the part that the output positions from `phase` on read, and its padding."""
    before = padding - phase
    inside = max(0, -(-before // dilation))
    return inside * dilation - before, inside


def _cost(window: Window, form: str, channels: int, pairs: int) -> float:
    """Instructions, as counted in the kernel: fits the measured layers within a tenth."""
    height, stride = window.filter_height, window.stride_width
    in_assembler = _instance(pairs, form) != "any"
    filter_row = (3.0 if stride == 1 else 5.0) + 6.0 * pairs if in_assembler else 16.0 + 11.0 * pairs
    block = {"relu": 27.0, "signed": 39.0, "clamp": 75.0}[form] + height * filter_row
    if not in_assembler:
        block += 20.0
    unpacking = _LANES * (60.0 + height * (8.0 + 15.0 * pairs))
    groups = -(-channels // _LANES)
    total = 300.0
    for phase_y in range(min(window.dilation_height, window.output_height)):
        outputs = -(-(window.output_height - phase_y) // window.dilation_height)
        lines = height + (outputs - 1) * min(window.stride_height, height)
        for phase_x in range(min(window.dilation_width, window.output_width)):
            columns = -(-(window.output_width - phase_x) // window.dilation_width)
            filling = 40.0 + 8.5 * min(columns * stride, -(-window.input_width // window.dilation_width))
            row = 30.0 + _LANES * (38.0 + -(-columns // _BLOCK) * block)
            total += 400.0 + groups * (unpacking + lines * filling + outputs * row)
    return window.batches * total
