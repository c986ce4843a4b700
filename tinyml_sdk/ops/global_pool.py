"""Ops that make one pixel of a whole image, given the image some rows at a time: averages, means, sums, maxima.

What is known of each channel, a sum or the largest value, stays in scratch memory from call to call. Neither depends on
how the image is split, so that the output is that of the whole image, to the bit.
"""

from __future__ import annotations

from dataclasses import replace

from .base import Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from .dsp.matrix import DSP
from .overlap import IN_PLACE
from .rows import LAST_ROWS, Rows, RowWindow, row_window
from .selection import Candidate, Refusal, choose_kernel

__all__ = ["global_pool_layer", "whole_image_candidates"]

_AVERAGE, _SUM, _MAX = "tinyml_global_average", "tinyml_global_sum", "tinyml_global_max"
_KERNELS = {"AVERAGE_POOL_2D": _AVERAGE, "MEAN": _SUM, "SUM": _SUM, "MAX_POOL_2D": _MAX, "REDUCE_MAX": _MAX}

_LANES = 4
"""Channels that are computed together."""


def global_pool_layer(view: OpView, layer: Layer, window: RowWindow, rows: Rows) -> Layer:
    """The layer that takes in some rows of the image.

    Args:
        view: The op over its whole image.
        layer: The op, lowered: its parameters say how sums or maxima become the output.
        window: The layer's, from `row_window`.
        rows: What it takes in.
    """
    return choose_kernel(view, _candidates(view, layer, window, rows))


def whole_image_candidates(view: OpView, layer: Layer) -> list[Candidate | Refusal]:
    """The same kernels for all rows at once, where the op makes one pixel of an image.

    Args:
        view: The op.
        layer: The op with a kernel for any shape.
    """
    window = row_window(view.graph, layer)
    if window is None or not window.state_bytes:
        return [Refusal(kernel, "it is for one pixel of a whole image") for kernel in _names(view)]
    return _candidates(view, layer, window, window.rows(0, window.output_height)[1])


def _names(view: OpView) -> tuple[str, str]:
    kernel = _KERNELS[view.op.name]
    return kernel, f"{kernel}_dsp"


def _candidates(view: OpView, layer: Layer, window: RowWindow, rows: Rows) -> list[Candidate | Refusal]:
    image = view.activation(0, rank=4)
    channels, pixels = image.shape[3], rows.input_rows * image.shape[2]
    kernel, dsp_kernel = _names(view)
    taken_in: dict[str, ParameterValue] = {"rows": {"channels": channels, "pixels": pixels, "edges": rows.edges}}
    result = _result(kernel, layer, window.input_height * image.shape[2])
    portable = Layer(
        op=view.op,
        kernel=kernel,
        header="global_pool.h",
        arguments=(Parameters(f"{kernel}_params", taken_in | result), Input(0), Output(), Scratch()),
        lead=(IN_PLACE,),
        scratch_bytes=window.state_bytes,
    )
    outputs = channels * (20 if rows.edges & LAST_ROWS else 8)
    found: list[Candidate | Refusal] = [Candidate(portable, 2.5 * channels * pixels + outputs)]
    if channels < _LANES:
        return [*found, Refusal(dsp_kernel, f"it is for {_LANES} channels or more")]
    dsp = replace(portable, kernel=dsp_kernel, header="dsp/global_pool_dsp.h")
    return [*found, Candidate(dsp, 1.6 * channels * pixels + outputs, DSP)]


def _result(kernel: str, layer: Layer, elements: int) -> dict[str, ParameterValue]:
    """The parameters that make the output."""
    whole = next(argument.fields for argument in layer.arguments if isinstance(argument, Parameters))
    if kernel == _SUM:
        return {name: whole[name] for name in ("zero_sum", "multiplier", "shift", "output_zero_point")}
    limits: dict[str, ParameterValue] = {
        "activation_min": whole.get("activation_min", -128),
        "activation_max": whole.get("activation_max", 127),
    }
    return limits if kernel == _MAX else {"elements": elements, **limits}
