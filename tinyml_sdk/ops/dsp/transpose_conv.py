"""TRANSPOSE_CONV for cores with the DSP extension: the convolutions of stride 1 that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...graph import Tensor
from ..base import Constant, Input, Layer, OpView, Output, Parameters, Scratch
from ..selection import Candidate, Refusal
from ..weights import filter_constants
from .matrix import (
    DSP,
    MIXED_WEIGHTS_REFUSED,
    DspConstants,
    dsp_constants,
    gathered_bytes,
    packed_rests,
    pair_cost,
    run_order,
)

__all__ = ["dsp_transpose_conv"]

_KERNEL = "tinyml_transpose_conv_dsp"

Int64 = npt.NDArray[np.int64]


def dsp_transpose_conv(
    view: OpView, filter_: Tensor, scales: tuple[float, ...], sizes: Mapping[str, int], macs: int
) -> Candidate | Refusal:
    """The layer, or why its shape or its numbers are not covered.

    Args:
        view: The op; its input is the third.
        filter_: int8 OHWI.
        scales: See `product_scales`.
        sizes: The fields of the kernel's parameters that the portable one has as well.
        macs: Multiply-accumulates of the layer.
    """
    channels, filter_height, filter_width, depth = filter_.shape
    if sizes["stride_height"] > filter_height or sizes["stride_width"] > filter_width:
        return Refusal(_KERNEL, "between its strides are outputs that no input reaches")
    parts: list[_Part] = []
    for taps in _taps(filter_, sizes):
        part = _convolution(view, taps, scales, sizes["input_zero_point"])
        if part is None:
            return Refusal(_KERNEL, MIXED_WEIGHTS_REFUSED)
        parts.append(part)
    first = parts[0].constants
    if not all(_agree(part.constants, first) for part in parts):
        return Refusal(_KERNEL, "its sums become outputs in different ways, by where the filter begins")
    streams = [part.constants.weights.values for part in parts]
    places = np.cumsum([0, *(stream.size for stream in streams[:-1])])
    table = np.stack([np.array([part.constants.depth for part in parts]), places], axis=1)
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="dsp/transpose_conv_dsp.h",
        arguments=(
            Parameters("tinyml_transpose_conv_dsp_params", {**sizes, "matrix": first.matrix("pair")}),
            Input(2),
            Constant("parts", table.astype(np.int32)),
            Constant("weights", np.concatenate(streams)),
            first.scale,
            first.shift,
            Output(),
            Scratch(),
        ),
        macs=macs,
        lead=(None, None, _lead(sizes, depth, channels)),
        scratch_bytes=max(gathered_bytes(part.runs, part.run, part.constants.depth) for part in parts),
        shared=True,
    )
    rows = sizes["batches"] * -(-sizes["output_height"] // sizes["stride_height"])
    pixels = -(-sizes["output_width"] // sizes["stride_width"])
    cost = sum(rows * (200 + part.cost(pixels, channels)) for part in parts)
    return Candidate(layer, cost, DSP, code_bytes=1200)


@dataclass(frozen=True)
class _Part:
    """The convolution that makes the outputs of one place between two strides: its runs, and bytes of each."""

    runs: int
    run: int
    constants: DspConstants

    def cost(self, pixels: int, channels: int) -> float:
        """Instructions of so many neighbouring pixels."""
        depth = self.constants.depth
        gathering = 60 * self.runs + 3 * depth + 12 * packed_rests(self.runs, self.run, depth)
        return pair_cost(pixels, depth, channels, gathering=gathering)


def _taps(filter_: Tensor, sizes: Mapping[str, int]) -> Iterator[npt.NDArray[np.generic]]:
    """For each place between two strides, the taps that reach it, OHWI: the last one meets the first input pixel."""
    assert filter_.data is not None
    for row in range(sizes["stride_height"]):
        for column in range(sizes["stride_width"]):
            yield filter_.data[:, row :: sizes["stride_height"], column :: sizes["stride_width"]][:, ::-1, ::-1]


def _convolution(
    view: OpView, taps: npt.NDArray[np.generic], scales: tuple[float, ...], zero_point: int
) -> _Part | None:
    """None where mixed weights would not be exact."""
    channels, runs, columns, depth = taps.shape
    weights = taps.reshape(channels, -1)
    folded = filter_constants(view, weights, scales=scales, fold_zero_point=zero_point, bias_input=3)
    constants = dsp_constants(folded, run_order(runs, columns * depth, channels), block=4)
    return None if constants is None else _Part(runs, columns * depth, constants)


def _agree(one: DspConstants, other: DspConstants) -> bool:
    """Whether two convolutions' sums become outputs in the same way."""
    return (one.form, one.tail) == (other.form, other.tail) and all(
        np.array_equal(mine.values, theirs.values)
        for mine, theirs in ((one.scale, other.scale), (one.shift, other.shift))
    )


def _lead(sizes: Mapping[str, int], depth: int, channels: int) -> int:
    """Row by row of the output, of each row every stride-th pixel from each place on, two pixels at a time.

    All that was written must end at or below the first byte that is still to be read.
    """
    height, width, output_width = sizes["input_height"], sizes["input_width"], sizes["output_width"]
    never = sizes["batches"] * height * width
    first_read, end = [], []
    for row in range(sizes["batches"] * sizes["output_height"]):
        batch, y = divmod(row, sizes["output_height"])
        top = _first_inside(np.array([y]), sizes, "height")[0]
        for x in range(min(sizes["stride_width"], output_width)):
            pixels = np.arange(x, output_width, sizes["stride_width"])
            left = _first_inside(pixels, sizes, "width")
            inside = (top < height) & (left < width)
            first_read.append(np.where(inside, (batch * height + top) * width + left, never)[::2])
            # The second of two, or the last one alone.
            end.append(row * output_width + 1 + np.append(pixels[1::2], pixels[-1:])[: len(first_read[-1])])
    reads, ends = np.concatenate(first_read), np.concatenate(end)
    still_read = np.minimum.accumulate(reads[::-1])[::-1] * depth
    written = np.concatenate([[0], np.maximum.accumulate(ends)[:-1]]) * channels
    return max(0, int((written - still_read).max()))


def _first_inside(outputs: Int64, sizes: Mapping[str, int], axis: str) -> Int64:
    """Along an axis, the first input position that reaches each output, the size of the input where none does."""
    stride, filter_size, size = sizes[f"stride_{axis}"], sizes[f"filter_{axis}"], sizes[f"input_{axis}"]
    place = outputs + sizes["padding_top" if axis == "height" else "padding_left"]
    last = place // stride
    first = np.maximum(0, last - (filter_size - 1 - place % stride) // stride)
    return np.where(first <= np.minimum(last, size - 1), first, size)
