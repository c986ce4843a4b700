"""Ops that make one pixel of a whole image, given the image some rows at a time: averages, means, sums, maxima.

What is known of each channel, a sum or the largest value, stays in scratch memory from call to call. Sums of integers do
not depend on how they are split: the output is that of the whole image, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .base import Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from .dsp.matrix import DSP
from .rows import LAST_ROWS, Rows, RowWindow
from .selection import Candidate, Refusal, choose_kernel

__all__ = ["global_pool_layer"]

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
    image = view.activation(0, rank=4)
    channels, pixels = image.shape[3], rows.input_rows * image.shape[2]
    kernel = _KERNELS[view.op.name]
    fields = {"rows": {"channels": channels, "pixels": pixels, "edges": rows.edges}}
    portable = Layer(
        op=view.op,
        kernel=kernel,
        header="global_pool.h",
        arguments=(
            Parameters(f"{kernel}_params", fields | _result(kernel, layer, window.input_height * image.shape[2])),
            Input(0),
            Output(),
            Scratch(),
        ),
        scratch_bytes=window.state_bytes,
    )
    outputs = 20 * channels if rows.edges & LAST_ROWS else 0
    candidates: list[Candidate | Refusal] = [Candidate(portable, channels * (2.5 * pixels + 8) + outputs)]
    if kernel != _MAX and channels >= _LANES:
        dsp = replace(portable, kernel=f"{kernel}_dsp", header="dsp/global_pool_dsp.h")
        candidates.append(Candidate(dsp, channels * (1.6 * pixels + 8) + outputs, DSP))
    return choose_kernel(view, candidates)


def _result(kernel: str, layer: Layer, elements: int) -> Mapping[str, ParameterValue]:
    """The parameters that make the output."""
    whole = next(argument.fields for argument in layer.arguments if isinstance(argument, Parameters))
    if kernel == _SUM:
        return {name: whole[name] for name in ("zero_sum", "multiplier", "shift", "output_zero_point")}
    limits = {"activation_min": whole.get("activation_min", -128), "activation_max": whole.get("activation_max", 127)}
    return limits if kernel == _MAX else {"elements": elements, **limits}
