"""Kernels for layers whose weights take less than a byte each: pruned, clustered, or of four bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .base import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from .dsp import DSP, ScaledChannels, scaled_channels, sum_bounds
from .overlap import gathered_window_lead
from .selection import Candidate, Refusal
from .sparse_lists import FORMATS, Format, WeightLists, weight_lists
from .weights import FilterConstants
from .window import Window

__all__ = ["sparse_convolutions"]

_ROOM = 2**22
"""Of the sums of a tile's first, third, ... pixel, which share 64 bits with the next one's."""

_TILES = (8, 4)


def sparse_convolutions(
    view: OpView, window: Window, constants: FilterConstants, *, input_channels: int
) -> Iterator[Candidate | Refusal]:
    """The kernels over lists of weights, for a convolution or several rows of a matrix product.

    Args:
        view: The op.
        window: Its geometry.
        constants: The portable kernel's, with the input's zero point folded; products in the order of rows, columns
            and input channels.
        input_channels: Of the input.
    """
    channels = scaled_channels(constants)
    low, high = sum_bounds(channels.weights, channels.bias)
    for form in FORMATS:
        kernel = f"tinyml_conv_2d_sparse_dsp ({form})"
        lists = weight_lists(channels.weights, form)
        if lists is None:
            yield Refusal(kernel, "the weights of a channel have more than 16 values")
        elif low.min() < -_ROOM or high.max() >= _ROOM:
            yield Refusal(kernel, "a sum has no room in its part of 64 bits")
        else:
            for tile in _TILES:
                yield _dsp(view, window, constants, channels, lists, input_channels, tile)


def _dsp(
    view: OpView,
    window: Window,
    constants: FilterConstants,
    channels: ScaledChannels,
    lists: WeightLists,
    input_channels: int,
    tile: int,
) -> Candidate:
    count, depth = channels.weights.shape
    pixels = view.output().elements // count
    parameters = Parameters(
        "tinyml_conv_2d_sparse_dsp_params",
        {
            "runs": window.runs_parameters(input_channels, view.activation(0).zero_point),
            "depth": depth,
            "padding": lists.padding,
            "tile": tile,
            "layer": {
                "channels": count,
                "codebooks": lists.codebooks,
                "output": constants.requantization,
                "wide": f"tinyml_sparse_{lists.format}_8" if tile == 8 else "NULL",
                "narrow": f"tinyml_sparse_{lists.format}_4",
                "compute": f"tinyml_sparse_compute_{channels.form}",
            },
        },
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_conv_2d_sparse_dsp",
        header="conv_2d_sparse_dsp.h",
        arguments=(
            parameters,
            Input(0),
            Constant("lists", lists.values),
            Constant("bias", channels.bias.astype(np.int32)),
            Constant("scale", channels.scale),
            Constant("shift", channels.shift),
            Output(),
            Scratch(),
        ),
        macs=pixels * count * depth,
        lead=(gathered_window_lead(window, input_channels=input_channels, output_channels=count, tile=tile),),
        scratch_bytes=2 * tile * (depth + lists.padding) + 2 * window.run_taps * input_channels,
    )
    return Candidate(layer, cost=1.0, requires=DSP)
