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
            "tile": tile,
            "channels": count,
            "codebooks": lists.codebooks,
            "general": int(channels.form == "general"),
            "output": constants.requantization,
            "wide": _width(lists, channels, 8) if tile == 8 else {"lists": "NULL", "finish": "NULL"},
            "narrow": _width(lists, channels, 4),
        },
    )
    last = pixels // window.batches % tile
    spare = 0 if last in (0, 4) else (8 if last > 4 else 4) * count
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
        scratch_bytes=2 * tile * depth + max(spare, 4 * window.run_taps * input_channels),
    )
    return Candidate(layer, _cost(window, channels, lists, input_channels, tile), DSP)


def _width(lists: WeightLists, channels: ScaledChannels, pixels: int) -> dict[str, ParameterValue]:
    """The struct `tinyml_sparse_width`."""
    finish = "sums" if channels.form == "general" else f"{channels.form}_{pixels}"
    return {"lists": f"tinyml_sparse_{lists.format}_{pixels}", "finish": f"tinyml_sparse_finish_{finish}"}


# -- cost ---------------------------------------------------------------------------------------------------------

_STEP_COST = {"gaps": (20.5, 14.5), "coded_gaps": (12.5, 9.5), "blocks": (31.5, 19.5), "codes": (18.5, 12.5)}
"""Instructions of a step, over eight pixels and over four."""

_CHANNEL_COST = {"clamped": (92, 62), "signed": (108, 70), "general": (230, 130)}
"""Those of a channel besides: its first sums and its outputs."""


def _cost(window: Window, channels: ScaledChannels, lists: WeightLists, input_channels: int, tile: int) -> float:
    """Instructions of one inference. Fitted to what the emulator counts, see docs/sparsity.md."""
    count, depth = channels.weights.shape
    wide, narrow = 0, 1

    def products(width: int) -> float:
        steps = float(lists.steps.sum()) * _STEP_COST[lists.format][width]
        return steps + count * _CHANNEL_COST[channels.form][width] + 90

    run = window.run_taps * input_channels
    packing = 7.4 * depth + 110 * (depth // run) + 60
    pixels = window.output_height * window.output_width
    tiles, last = divmod(pixels, tile)
    total = tiles * (products(wide) + 2 * packing if tile == 8 else products(narrow) + packing)
    if last:
        total += products(wide) + 2 * packing if last > 4 else products(narrow) + packing
    return window.batches * total
