"""DEPTHWISE_CONV_2D for cores with MVE: any filter, eight channels at a time."""

from __future__ import annotations

import numpy as np

from ...graph import Tensor
from ..base import Constant, Input, Layer, OpView, Output, Parameters
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .matrix import MVE, requantization_form

__all__ = ["mve_any_depthwise"]

_KERNEL = "tinyml_depthwise_conv_2d_mve"

_GROUP = 8
"""Channels at a time."""

_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
"""In which their constants lie."""


def mve_any_depthwise(
    view: OpView, window: Window, constants: FilterConstants, input_: Tensor, portable: Layer
) -> Candidate | Refusal:
    """The layer for MVE, unless input channels have several filters.

    Args:
        view: The op.
        window: Its geometry.
        constants: With the bias as it is in the model, as taps in the padding are left out.
        input_: The input tensor.
        portable: The layer that is replaced.
    """
    count = len(constants.weights.values)
    if count != input_.shape[3]:
        return Refusal(_KERNEL, "it is for one filter for each channel")
    weights = np.append(constants.weights.values.T.reshape(-1), np.zeros(_GROUP, np.int8)).astype(np.int8)
    alike = constants.multiplier.values.size == 1
    form = requantization_form(constants)
    parameters = Parameters(
        "tinyml_depthwise_conv_2d_mve_params",
        {
            "window": window.parameters,
            "channels": count,
            "input_zero_point": input_.zero_point,
            "form": f"TINYML_MVE_{form.upper()}",
            "scale_step": 0 if alike else _GROUP,
            "output": constants.requantization,
        },
    )
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="mve/depthwise_conv_2d_mve.h",
        arguments=(
            parameters,
            Input(0),
            Constant("weights", weights),
            _grouped(constants.bias, count),
            _grouped(constants.multiplier, _GROUP if alike else count),
            _grouped(constants.shift, _GROUP if alike else count),
            Output(),
        ),
        macs=portable.macs,
        lead=portable.lead,
    )
    groups = view.output().elements // count * -(-count // _GROUP)
    cost = groups * (window.filter_height * (11.0 * window.filter_width + 14.0) + 40.0)
    return Candidate(layer, cost, MVE)


def _grouped(constant: Constant, count: int) -> Constant:
    """Whole groups of a constant of each channel, the even ones of each eight first."""
    values = np.resize(constant.values, count)
    padded = np.append(values, np.zeros(-count % _GROUP, values.dtype))
    return Constant(constant.name, padded.reshape(-1, _GROUP)[:, _ORDER].reshape(-1))
