"""CONV_2D for cores with MVE; also a depthwise convolution of a single input channel, which is the same."""

from __future__ import annotations

from ..base import Input, Layer, OpView, Output, Parameters, Scratch
from ..overlap import gathered_window_lead
from ..selection import Candidate
from ..weights import FilterConstants
from ..window import Window
from .matrix import MVE, PARTS, VECTOR, mve_constants, mve_cost

__all__ = ["mve_convolution"]

_GATHERED = ((8, 256), (4, 640))
"""Pixels that may be gathered together, and the most bytes of scratch that this is worth."""


def mve_convolution(view: OpView, window: Window, constants: FilterConstants) -> Candidate:
    """Some output pixels at a time, gathered in scratch before they are written.

    Args:
        view: The op, not in groups.
        window: Its geometry.
        constants: Weights as (output channels, products in the order of rows, columns and input channels), the input's
            zero point in the bias.
    """
    input_, output = view.activation(0), view.output()
    channels, depth = len(constants.weights.values), input_.shape[3]
    # Neighbouring taps lie one after the other in memory unless dilated.
    run_taps = window.filter_width if window.dilation_width == 1 else 1
    runs = window.filter_height * window.filter_width // run_taps
    mve = mve_constants(constants, shape="pair")
    pixels = _gathered_pixels(channels, mve.depth)
    parameters = Parameters(
        "tinyml_conv_2d_mve_params",
        {
            "window": window.parameters,
            "input_channels": depth,
            "input_zero_point": input_.zero_point,
            "run_taps": run_taps,
            "sums": mve.sum_bytes,
            "pixels": pixels,
            "matrix": mve.matrix,
        },
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_conv_2d_mve",
        header="mve/conv_2d_mve.h",
        arguments=(parameters, Input(0), *mve.arguments, Output(), Scratch()),
        macs=output.elements * runs * run_taps * depth,
        lead=(gathered_window_lead(window, input_channels=depth, output_channels=channels, tile=pixels),),
        scratch_bytes=mve.sum_bytes + pixels * mve.depth,
    )
    gathering = 2 * (15 + runs * (8 + 2 * -(-run_taps * depth // VECTOR))) + 140 / pixels
    return Candidate(layer, mve_cost(mve, output.elements // channels, gathering=gathering), MVE)


def _gathered_pixels(channels: int, depth: int) -> int:
    """How many pixels of `depth` bytes are gathered together: 2 where their outputs come in several parts."""
    if channels > PARTS["pair"]:
        return 2
    return next((pixels for pixels, most in _GATHERED if pixels * depth <= most), 2)
