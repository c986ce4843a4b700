"""DEPTHWISE_CONV_2D 3x3 for cores without SIMD instructions: when it applies, and what it costs."""

from __future__ import annotations

import numpy as np

from ...graph import Tensor
from ..base import Constant, Input, Layer, OpView, Output, Parameters, Scratch
from ..overlap import IN_PLACE
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .matrix import SCALAR, ScalarScale, scalar_channels, scalar_instances

__all__ = ["scalar_depthwise"]

_KERNEL = "tinyml_depthwise_conv_2d_scalar"
_LANES, _LINES = 4, 3
"""Channels that go through the image together; input rows that an output row reads."""

_LARGEST_SIZE = 2**15 - 1
"""The kernel's parameters take half words."""


def scalar_depthwise(
    view: OpView, window: Window, constants: FilterConstants, input_: Tensor, macs: int
) -> Candidate | Refusal:
    """The layer, or why its shape is not covered.

    Args:
        view: The op.
        window: Its geometry.
        constants: Weights as (channels, taps), the input's zero point in the bias.
        input_: The input tensor.
        macs: Multiply-accumulates of the layer.
    """
    channels, stride = input_.shape[3], window.stride_width
    if not window.is_small_square or view.output().shape[3] != channels:
        return Refusal(_KERNEL, "it is for 3x3 filters of stride 1 or 2 with one output a channel")
    scaled = scalar_channels(view, constants)
    scale = ScalarScale.of(scaled)
    shape = {
        "batches": window.batches,
        "input_height": window.input_height,
        "input_width": window.input_width,
        "output_height": window.output_height,
        "output_width": window.output_width,
        "padding_top": window.padding_top,
        "padding_left": window.padding_left,
        "channels": channels,
    }
    if max(shape.values()) > _LARGEST_SIZE:
        return Refusal(_KERNEL, f"a dimension is larger than {_LARGEST_SIZE:,}")
    parameters = Parameters(
        "tinyml_depthwise_conv_2d_scalar_params",
        {
            **shape,
            "stride": stride,
            "input_zero_point": input_.zero_point,
            "scale_step": scale.step,
            "form": f"TINYML_SCALAR_{scaled.form.upper()}",
            "output": constants.requantization,
            **scalar_instances(view, "row", f"depthwise_{stride}", scaled.form),
        },
    )
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="scalar/depthwise_conv_2d_scalar.h",
        arguments=(
            parameters,
            Input(0),
            Constant("weights", scaled.weights.astype(np.int8)),
            Constant("bias", scaled.bias.astype(np.int32)),
            *scale.arguments,
            Output(),
            Scratch(),
        ),
        macs=macs,
        lead=(IN_PLACE, None, None),
        scratch_bytes=_LINES * _LANES * ((window.output_width - 1) * stride + 3),
        shared=True,
    )
    return Candidate(layer, 4.5 * macs + 60 * channels * window.output_height, SCALAR)
