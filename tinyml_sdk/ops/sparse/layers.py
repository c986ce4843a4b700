"""Kernels for layers whose weights take less than a byte each: pruned, clustered, or of four bits.

Each kernel reads any of the forms in `lists.py`; of these the layer offers the one that serves best.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...graph import ABSENT, Op
from ..base import Argument, Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from ..dsp.matrix import DSP, ScaledChannels, scaled_channels, sum_bounds
from ..overlap import gathered_window_lead
from ..scalar.matrix import portable_effort
from ..selection import Candidate, Refusal, best_candidate
from ..weights import FilterConstants
from ..window import Window
from .lists import CODEBOOK, FORMS, WeightLists, weight_lists

__all__ = ["CODE_BYTES", "rows_window", "sparse_convolutions", "sparse_row"]

_DSP_KERNEL = "tinyml_conv_2d_sparse_dsp"
_PORTABLE_KERNEL = "tinyml_conv_2d_sparse"
_ROW_KERNEL = "tinyml_fully_connected_sparse"
_CODES_KERNEL = "tinyml_fully_connected_codes_dsp"

CODE_BYTES = {_DSP_KERNEL: 2200, _PORTABLE_KERNEL: 950, _ROW_KERNEL: 200, _CODES_KERNEL: 640}
"""What a kernel adds to the code of a model that is optimized for size: measured, rounded up."""

_ROOM = 2**22
"""Of the sums of a tile's first, third, ... pixel, which share 64 bits with the next one's."""

_LEAST_LEFT_OUT = 0.1
"""Of the weights. With less there is nothing to gain, and estimates are not that exact."""

_TILES = (8, 4)
_PORTABLE_TILE = 4  # TINYML_SPARSE_PIXELS


def rows_window(rows: int) -> Window:
    """The product of a matrix with several rows, as a convolution over one line of pixels."""
    return Window(1, 1, rows, 1, rows, 1, 1, 1, 1, 1, 1, 0, 0)


def sparse_convolutions(
    view: OpView, window: Window, constants: FilterConstants, *, input_channels: int
) -> Iterator[Candidate | Refusal]:
    """The kernels for a convolution, or for several rows of a matrix product.

    Args:
        view: The op.
        window: Its geometry.
        constants: The portable kernel's, with the input's zero point folded; products in the order of rows, columns
            and input channels.
        input_channels: Of the input.
    """
    if view.only not in ("", _DSP_KERNEL, _PORTABLE_KERNEL):
        return  # packing weights takes a while
    channels = scaled_channels(constants)
    low, high = sum_bounds(channels.weights, channels.bias)
    if low.min() < -_ROOM or high.max() >= _ROOM:
        yield Refusal(_DSP_KERNEL, "a sum has no room in its part of 64 bits")
    else:
        yield _best(
            view,
            _DSP_KERNEL,
            channels.weights,
            [
                _dsp(view, window, constants, channels, lists, input_channels, tile)
                for lists in _worthwhile(channels.weights)
                for tile in (_TILES if window.output_height * window.output_width > min(_TILES) else _TILES[-1:])
            ],
        )
    weights = constants.weights.values.astype(np.int64)
    candidates = [_portable(view, window, constants, lists, input_channels) for lists in _worthwhile(weights)]
    yield _best(view, _PORTABLE_KERNEL, weights, candidates)


def sparse_row(view: OpView, constants: FilterConstants) -> Iterator[Candidate | Refusal]:
    """The kernels for a single row; `constants` as for `sparse_convolutions`."""
    weights = constants.weights.values.astype(np.int64)
    lists = _worthwhile(weights)
    yield _best(view, _ROW_KERNEL, weights, [_row(view, constants, each) for each in lists])
    codes = [_codes_row(view, constants, each) for each in lists if each.form == "codes"]
    yield codes[0] if codes else Refusal(_CODES_KERNEL, "its channels have more than 16 values")


def _worthwhile(weights: npt.NDArray[np.int64]) -> list[WeightLists]:
    """The weights in every form that has room for them and leaves something out."""
    lists = [weight_lists(weights, form) for form in FORMS]
    most = (1 - _LEAST_LEFT_OUT) * weights.size
    return [each for each in lists if each is not None and (each.form == "codes" or each.listed <= most)]


def _best(
    view: OpView, kernel: str, weights: npt.NDArray[np.int64], candidates: list[Candidate]
) -> Candidate | Refusal:
    if not candidates:
        zeros = np.count_nonzero(weights == 0) / weights.size
        return Refusal(kernel, f"{zeros:.0%} of its weights are zero: too few to leave out".replace("%", " %"))
    least, room = min(candidate.layer.scratch_bytes for candidate in candidates), _room(view)
    if least > room:
        return Refusal(kernel, f"it takes {least:,} bytes of scratch, more than any layer reads and writes")
    return best_candidate(view, [candidate for candidate in candidates if candidate.layer.scratch_bytes <= room])


def _room(view: OpView) -> int:
    """Bytes that the model's largest layer reads and writes: more scratch would cost RAM out of proportion."""
    tensors = view.graph.tensors

    def held(op: Op) -> int:
        indices = {index for index in (*op.inputs, *op.outputs) if index != ABSENT}
        return sum(tensors[index].bytes for index in indices if not tensors[index].is_constant)

    return max(map(held, view.graph.ops))


# -- for cores with the DSP extension -----------------------------------------------------------------------------


def _dsp(
    view: OpView,
    window: Window,
    constants: FilterConstants,
    channels: ScaledChannels,
    lists: WeightLists,
    input_channels: int,
    tile: int,
) -> Candidate:
    """A tile of eight pixels, or of four, is packed in scratch before its outputs are written."""
    count, depth = channels.weights.shape
    pixels = window.output_height * window.output_width
    parameters = Parameters(
        "tinyml_conv_2d_sparse_dsp_params",
        {
            "runs": window.runs_parameters(input_channels, view.activation(0).zero_point),
            "depth": depth,
            "tile": tile,
            "channels": count,
            "codebooks": lists.codebooks,
            "output": constants.requantization,
            "general": "tinyml_sparse_one_by_one" if channels.form == "general" else "NULL",
            "wide": _width(lists, channels, 8) if tile == 8 else {"lists": "NULL", "finish": "NULL"},
            "narrow": _width(lists, channels, 4),
        },
    )
    arguments = (
        parameters,
        Input(0),
        Constant("lists", lists.values),
        Constant("bias", channels.bias.astype(np.int32)),
        Constant("scale", channels.scale),
        Constant("shift", channels.shift),
        Output(),
        Scratch(),
    )
    # A last tile that is not whole has its outputs there.
    last = pixels % tile
    spare = 0 if last in (0, 4) else (8 if last > 4 else 4) * count
    layer = _layer(
        view,
        _DSP_KERNEL,
        arguments,
        macs=window.batches * pixels * lists.listed,
        lead=gathered_window_lead(window, input_channels=input_channels, output_channels=count, tile=tile),
        scratch_bytes=2 * tile * depth + max(spare, 4 * window.run_taps * input_channels),
    )
    return Candidate(layer, _dsp_cost(window, channels, lists, input_channels, tile), DSP, packed=True, note=lists.note)


def _width(lists: WeightLists, channels: ScaledChannels, pixels: int) -> dict[str, ParameterValue]:
    """The struct `tinyml_sparse_width`."""
    finish = "sums" if channels.form == "general" else f"{channels.form}_{pixels}"
    return {"lists": f"tinyml_sparse_{lists.form}_{pixels}", "finish": f"tinyml_sparse_finish_{finish}"}


# -- portable -----------------------------------------------------------------------------------------------------


def _portable(
    view: OpView, window: Window, constants: FilterConstants, lists: WeightLists, input_channels: int
) -> Candidate:
    """Four pixels are gathered in scratch before their outputs are written."""
    count, depth = constants.weights.values.shape
    pixels = window.batches * window.output_height * window.output_width
    parameters = Parameters(
        "tinyml_conv_2d_sparse_params",
        {
            "runs": window.runs_parameters(input_channels, view.activation(0).zero_point),
            "depth": depth,
            **_lists_parameters(constants, lists, "four"),
        },
    )
    layer = _layer(
        view,
        _PORTABLE_KERNEL,
        (parameters, Input(0), *_lists_constants(constants, lists), Output(), Scratch()),
        macs=pixels * lists.listed,
        lead=gathered_window_lead(window, input_channels=input_channels, output_channels=count, tile=_PORTABLE_TILE),
        scratch_bytes=_PORTABLE_TILE * depth + window.run_taps * input_channels,
    )
    tiles = window.batches * -(-window.output_height * window.output_width // _PORTABLE_TILE)
    weights = lists.listed * (_PORTABLE_DECODING[lists.form] + 2.2 * _PORTABLE_TILE)
    gathering = 20 * depth + 240 * (depth // (window.run_taps * input_channels))
    cost = _effort(view) * tiles * (weights + 150 * count + gathering)
    return Candidate(layer, cost, packed=True, note=lists.note)


def _row(view: OpView, constants: FilterConstants, lists: WeightLists) -> Candidate:
    """The row is read where it lies, again for each channel."""
    count = len(constants.weights.values)
    parameters = Parameters("tinyml_fully_connected_sparse_params", _lists_parameters(constants, lists, "row"))
    layer = _layer(
        view,
        _ROW_KERNEL,
        (parameters, Input(0), *_lists_constants(constants, lists), Output()),
        macs=lists.listed,
        lead=count - 1,
        scratch_bytes=0,
    )
    cost = _effort(view) * (lists.listed * (_PORTABLE_DECODING[lists.form] + 2.2) + 45 * count)
    return Candidate(layer, cost, packed=True, note=lists.note)


def _codes_row(view: OpView, constants: FilterConstants, lists: WeightLists) -> Candidate:
    """The row is widened in scratch before its outputs are written."""
    count, depth = constants.weights.values.shape
    parameters = Parameters(
        "tinyml_fully_connected_codes_dsp_params",
        {"depth": depth, "channels": count, "codebooks": lists.codebooks, "output": constants.requantization},
    )
    layer = _layer(
        view,
        _CODES_KERNEL,
        (parameters, Input(0), *_lists_constants(constants, lists), Output(), Scratch()),
        macs=lists.listed,
        lead=0,
        scratch_bytes=4 * CODEBOOK**2 + 2 * depth,
    )
    tables = 1100 * lists.codebooks
    passes = count if lists.codebooks > 1 else -(-count // 2)
    return Candidate(
        layer,
        tables + 3.0 * depth + passes * (3.9 * depth + 30) + 25 * count,
        DSP,
        packed=True,
        note=lists.note,
    )


def _lists_parameters(constants: FilterConstants, lists: WeightLists, pixels: str) -> dict[str, ParameterValue]:
    return {
        "channels": len(constants.weights.values),
        "codebooks": lists.codebooks,
        "output": constants.requantization,
        "compute": f"tinyml_sparse_{pixels}_{lists.form}",
    }


def _lists_constants(constants: FilterConstants, lists: WeightLists) -> tuple[Argument, ...]:
    return Constant("lists", lists.values), constants.bias, constants.multiplier, constants.shift


def _layer(
    view: OpView, kernel: str, arguments: tuple[Argument, ...], *, macs: int, lead: int, scratch_bytes: int
) -> Layer:
    return Layer(
        op=view.op,
        kernel=kernel,
        header=f"sparse/{kernel.removeprefix('tinyml_')}.h",
        arguments=arguments,
        macs=macs,
        lead=(lead,),
        scratch_bytes=scratch_bytes,
        shared=True,
    )


# -- cost ---------------------------------------------------------------------------------------------------------

_STEP_COST = {"gaps": (20.5, 14.5), "coded_gaps": (12.5, 9.5), "blocks": (31.5, 19.5), "codes": (18.5, 12.5)}
"""Instructions of a step, over eight pixels and over four."""

_CHANNEL_COST = {"clamped": (92, 62), "signed": (108, 70), "general": (230, 130)}
"""Those of a channel besides: its first sums and its outputs."""

_PORTABLE_DECODING = {"gaps": 4.5, "coded_gaps": 5.5, "blocks": 1.7, "codes": 2.3}
"""Instructions of a weight before it is multiplied, in C, on a Cortex-M3."""


def _effort(view: OpView) -> float:
    """Instructions on the view's core, as a multiple of those on a Cortex-M3."""
    return 2.1 if "low-registers" in view.core_features else portable_effort(view)


def _dsp_cost(window: Window, channels: ScaledChannels, lists: WeightLists, input_channels: int, tile: int) -> float:
    """Instructions of one inference. Fitted to what the emulator counts, see docs/sparsity.md."""
    count, depth = (int(size) for size in channels.weights.shape)
    wide, narrow = 0, 1

    def products(width: int) -> float:
        steps = float(lists.steps.sum()) * _STEP_COST[lists.form][width]
        return steps + float(count) * _CHANNEL_COST[channels.form][width] + 90

    run = window.run_taps * input_channels
    packing = 7.4 * depth + 120 * (depth // run) + 60
    pixels = window.output_height * window.output_width
    tiles, last = divmod(pixels, tile)
    total = tiles * (products(wide) + 2 * packing if tile == 8 else products(narrow) + packing)
    if last:
        total += products(wide) + 2 * packing if last > 4 else products(narrow) + packing
    return window.batches * total
