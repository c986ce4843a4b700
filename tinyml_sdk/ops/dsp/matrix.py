"""Constants for the kernels of cores with Arm's DSP extension, and the proof that these are exact for a layer.

The kernels (`kernels/dsp/tinyml_dsp_sums.h`) compute with two weights in each half word and requantize
in one multiplication. Neither is exact for every model; each condition is checked here, channel by channel, with the
true bounds of the channel's sums. Where one fails, the layer gets the general requantization or no such kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..base import Constant, ParameterValue
from ..fixed_point import rescale
from ..weights import FilterConstants

__all__ = [
    "DSP",
    "MIXED_WEIGHTS_REFUSED",
    "DspConstants",
    "ScaledChannels",
    "dsp_constants",
    "gathered_bytes",
    "mixed_stream",
    "packed_rests",
    "padded_order",
    "padded_to_words",
    "pair_cost",
    "row_cost",
    "run_order",
    "scaled_channels",
    "sum_bounds",
]

DSP = frozenset({"dsp"})
"""What a core must have."""

MIXED_WEIGHTS_REFUSED = "two weights do not fit one half word, or a sum its part of 32 bits"
"""Why a layer for which `dsp_constants` has none is not computed by such a kernel."""

_FRACTION = 15  # TINYML_DSP_FRACTION
_LANES = 4  # channels that share an entry of the scales

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DspConstants:
    """What a kernel with a `tinyml_dsp_matrix` takes after its input, and the facts of that struct.

    Attributes:
        weights: int32, the stream of biases and mixed weights.
        scale: int32, (multiplier, offset) of each channel, or of four channels where all are alike.
        shift: int8, the shift that goes with them.
        depth: Products of an output, padding included: a multiple of 4.
        form: `clamped`, `signed` or `general`: how sums become outputs.
        tail: Of the name of the kernel's function, what says which channels are computed in pairs: none, the last
            ones, or all.
    """

    weights: Constant
    scale: Constant
    shift: Constant
    depth: int
    channels: int
    form: str
    tail: Literal["", "tail_", "pairs_"]
    requantization: dict[str, ParameterValue]

    @property
    def arguments(self) -> tuple[Constant, Constant, Constant]:
        """In the order of every kernel's parameters."""
        return self.weights, self.scale, self.shift

    def matrix(self, shape: str) -> dict[str, ParameterValue]:
        """The struct `tinyml_dsp_matrix` for products of a `pair` of pixels or a `row`."""
        return {
            "depth": self.depth,
            "channels": self.channels,
            "scale_step": _LANES if self.shift.values.size > _LANES else 0,
            "output": self.requantization,
            "multiply": f"tinyml_dsp_{shape}_{self.tail}{self.form}",
        }


@dataclass(frozen=True, eq=False)
class _Channels:
    """A layer's channels as int64, the input's zero point folded into the bias. `low` and `high` bound the sums."""

    weights: Int64
    bias: Int64
    multiplier: Int64
    shift: Int64

    @property
    def low(self) -> Int64:
        return sum_bounds(self.weights, self.bias)[0]

    @property
    def high(self) -> Int64:
        return sum_bounds(self.weights, self.bias)[1]


@dataclass(frozen=True, eq=False)
class ScaledChannels:
    """A layer's channels as the kernels compute and requantize them.

    Attributes:
        form: `clamped`, `signed` or `general`: how sums become outputs.
        weights: int64, (channels, products); zeros for channels whose output never changes.
        bias: int64, the input's zero point folded in.
        scale: int32, (multiplier, offset) of each channel.
        shift: int8, the shift that goes with them.
    """

    form: str
    weights: Int64
    bias: Int64
    scale: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]


def sum_bounds(weights: Int64, bias: Int64) -> tuple[Int64, Int64]:
    """The least and the greatest sum of each channel over all int8 inputs."""
    lowest, highest = -128 * weights, 127 * weights
    return bias + np.minimum(lowest, highest).sum(axis=1), bias + np.maximum(lowest, highest).sum(axis=1)


def dsp_constants(constants: FilterConstants, order: npt.NDArray[np.intp], *, block: int) -> DspConstants | None:
    """Lay out a layer for the kernels.

    Args:
        constants: The portable kernel's, with the input's zero point folded.
        order: For each product in the order of the kernel, which of the weights' columns it takes; -1 for padding.
            A multiple of 4 long.
        block: Channels that are computed together, 8 of a row or 4 of two pixels. Up to 4 of a row, or 2 of two
            pixels, that are left over are computed in pairs, more of them in a block: of two pixels one that begins a
            channel before it.

    Returns:
        None where mixed weights would not be exact.
    """
    channels = scaled_channels(constants)
    count = len(channels.weights)
    tail = count % block if count % block <= block // 2 else 0
    computed = _whole_blocks(count) if block == _LANES and not tail else np.arange(count)
    parts = [(computed[: len(computed) - tail], block), (computed[len(computed) - tail :], 2)]
    streams = [
        mixed_stream(channels.weights[part], channels.bias[part], order, block=size)
        for part, size in parts
        if part.size
    ]
    if any(stream is None for stream in streams):
        return None
    table = np.concatenate([channels.scale, channels.shift[:, None]], axis=1)
    # All alike: four entries serve every block of a row.
    alike = block == 8 and (table == table[0]).all()
    entries = _LANES if alike else -(-count // _LANES) * _LANES
    table = table[computed]
    table = np.concatenate([table, np.repeat(table[-1:], max(0, entries - len(table)), axis=0)])[:entries]
    return DspConstants(
        weights=Constant("weights", np.concatenate([stream for stream in streams if stream is not None])),
        scale=Constant("scale", table[:, :2]),
        shift=Constant("shift", table[:, 2].astype(np.int8)),
        depth=len(order),
        channels=count,
        form=channels.form,
        tail="" if not tail else "pairs_" if tail == count else "tail_",
        requantization=constants.requantization,
    )


def _whole_blocks(count: int) -> npt.NDArray[np.intp]:
    """Channels in blocks of four: if the last one is not whole, it takes from the one before."""
    if count < _LANES or count % _LANES == 0:
        return np.arange(count)
    return np.concatenate([np.arange(count // _LANES * _LANES), np.arange(count - _LANES, count)])


def scaled_channels(constants: FilterConstants) -> ScaledChannels:
    """The channels of a layer, given the portable kernel's constants with the input's zero point folded."""
    count = constants.weights.values.shape[0]
    channels = _Channels(
        weights=constants.weights.values.astype(np.int64),
        bias=constants.bias.values.astype(np.int64),
        multiplier=np.resize(constants.multiplier.values.astype(np.int64), count),
        shift=np.resize(constants.shift.values.astype(np.int64), count),
    )
    form, channels, offset = _requantization(channels, constants.requantization)
    return ScaledChannels(
        form=form,
        weights=channels.weights,
        bias=channels.bias,
        scale=np.stack([channels.multiplier, offset], axis=1).astype(np.int32),
        shift=channels.shift.astype(np.int8),
    )


def padded_to_words(size: int) -> int:
    """A number of bytes rounded up to whole words."""
    return -(-size // 4) * 4


def padded_order(order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """An order of products, padded to a multiple of 4."""
    return np.concatenate([order, np.full(-len(order) % 4, -1)])


def run_order(runs: int, run: int, channels: int) -> npt.NDArray[np.intp]:
    """The products of a convolution by `dsp/conv_2d_dsp.h`: the words of all runs, then what is left of each run.

    What is left is taken byte by byte and packed, or in words of which each ends with its run: they are faster to
    gather, but their padding takes multiplications for every four channels.
    """
    products = np.arange(runs * run).reshape(runs, run)
    words, rests = np.split(products, [run // 4 * 4], axis=1)
    packed = padded_order(np.concatenate([words.reshape(-1), rests.reshape(-1)]))
    padding = runs * padded_to_words(run) - len(packed)
    if -(-channels // 4) * 6.2 * padding > 10 * rests.size:
        return packed
    ends = np.pad(rests, ((0, 0), (-run % 4, 0)), constant_values=-1)
    return np.concatenate([words.reshape(-1), ends.reshape(-1)])


def packed_rests(runs: int, run: int, depth: int) -> int:
    """Of runs in that order, the bytes that are left of words and packed."""
    return 0 if depth == runs * padded_to_words(run) else runs * (run % 4)


def gathered_bytes(runs: int, run: int, depth: int) -> int:
    """Scratch memory of a convolution by `dsp/conv_2d_dsp.h`."""
    return 4 * depth + 2 * run + 2 * padded_to_words(packed_rests(runs, run, depth))


# -- requantization -----------------------------------------------------------------------------------------------


def _requantization(
    channels: _Channels, requantization: dict[str, ParameterValue]
) -> tuple[str, _Channels, npt.NDArray[np.int64]]:
    """The form of the layer, its channels with the kernel's shifts, and the offsets.

    TFLM's result for a sum a, multiplier m and shift -e is, with both of its roundings written out,
        floor((a m + 2^30 + (2^(e-1) - [a < 0]) 2^31) / 2^(31+e)) + zero point,
    and the kernel's is floor((a 2^k m + c 2^32) / 2^(32+15)). With k = 16 - e they agree for
        c = 2^(k-2) + 2^14 + zero point x 2^15 - [a < 0] 2^(k-1).
    It takes e >= 1, c to be an integer (k >= 2), and a 2^k to fit 32 bits. The last term is the kernel's; without it, a
    negative sum gives at most the zero point, so it can be left out where all less is clamped.
    """
    zero_point = requantization["output_zero_point"]
    assert isinstance(zero_point, int)
    clamp = requantization["activation_min"], requantization["activation_max"]
    left = _FRACTION + 1 + channels.shift
    room = np.int64(1) << (31 - np.clip(left, 0, 31))
    exact = (channels.shift < 0) & (left >= 2) & (channels.low >= -room) & (channels.high < room)
    value = _constant_outputs(channels, ~exact)
    if clamp != (-128, 127) or None in value.values():
        return "general", channels, np.zeros(len(left), np.int64)
    # A channel whose output never changes needs no products: its bias is scaled to the output, by a quarter.
    bias = np.where(exact, channels.bias, 0)
    for channel, constant in value.items():
        bias[channel] = 4 * (min(127, max(-128, (constant or 0) + zero_point)) - zero_point)
    fixed = _Channels(
        weights=np.where(exact[:, None], channels.weights, 0),
        bias=bias,
        multiplier=np.where(exact, channels.multiplier, 1 << 30),
        shift=np.where(exact, left, _FRACTION),
    )
    offset = (np.int64(1) << (fixed.shift - 2)) + (1 << (_FRACTION - 1)) + zero_point * (1 << _FRACTION)
    return ("clamped" if zero_point == -128 else "signed"), fixed, offset


def _constant_outputs(channels: _Channels, which: npt.NDArray[np.bool_]) -> dict[int, int | None]:
    """For some channels, what every possible sum is scaled to; None where it is not always the same.

    Dead filters are of this kind: scales near 2^-32, and sums that the bias alone decides.
    """
    low, high = channels.low, channels.high
    outputs: dict[int, int | None] = {}
    for channel in np.flatnonzero(which).tolist():
        multiplier, shift = int(channels.multiplier[channel]), int(channels.shift[channel])
        # Scaling is monotonic, so the ends of the range decide; to the left it could overflow.
        ends = {rescale(int(end[channel]), multiplier, shift) for end in (low, high)} if shift <= 0 else set()
        outputs[channel] = ends.pop() if len(ends) == 1 else None
    return outputs


# -- weights ------------------------------------------------------------------------------------------------------


def mixed_stream(
    weights: Int64, bias: Int64, order: npt.NDArray[np.intp], *, block: int
) -> npt.NDArray[np.int32] | None:
    """Biases and weights as the kernels read them: the C side is `tinyml_dsp_sums.h`.

    Args:
        weights: (channels, products).
        bias: (channels,), the input's zero point folded in.
        order, block: As for `dsp_constants`.

    Returns:
        None where a half word or a sum has no room.
    """
    count, _ = weights.shape
    low, high = sum_bounds(weights, bias)
    # The sum of a second channel is what is left of 32 bits above the first's.
    if low[1::2].min(initial=0) < -(2**23) or high[1::2].max(initial=0) >= 2**23:
        return None
    padding = -count % block
    weights = np.pad(np.where(order >= 0, weights[:, order], 0), ((0, padding), (0, 0)))
    bias = np.pad(bias, (0, padding))
    halves = 256 * weights[1::2] + weights[::2]
    if halves.min() < -(2**15):
        return None
    # (pair of channels, four products, product) -> (block, four products, first product, pair): words of k and k + 2.
    quads = halves.reshape(-1, block // 2, len(order) // 4, 4)
    words = (quads[..., :2] & 0xFFFF) | quads[..., 2:] << 16
    words = words.transpose(0, 2, 3, 1).reshape(len(quads), -1)
    bias[1::2] = bias[::2] + 256 * bias[1::2]
    stream = np.concatenate([bias.reshape(-1, block), words], axis=1)
    return (stream & 0xFFFFFFFF).astype(np.uint32).view(np.int32).reshape(-1)


# -- cost ---------------------------------------------------------------------------------------------------------


def pair_cost(pixels: int, depth: int, channels: int, *, gathering: float) -> float:
    """Instructions of all products of `pixels` pixels, two at a time. `gathering`: those of a pair's inputs."""
    whole, tail = divmod(channels, _LANES)
    blocks = whole + (tail == 3)
    multiplying = blocks * (6.2 * depth + 65)
    if tail in (1, 2):
        multiplying += 4.5 * depth + 30 + 22 * tail
    elif tail == 3:
        multiplying += 10 if whole else 30  # a block that overlaps, or more outputs than are stored
    return -(-pixels // 2) * (multiplying + gathering + 60)


def row_cost(depth: int, channels: int) -> float:
    """Instructions of the products of a single row."""
    whole, tail = divmod(channels, 8)
    if tail > _LANES:
        whole, tail = whole + 1, 0
    return whole * (8.0 * depth + 45) + -(-tail // 2) * (3.3 * depth + 35) + 14 * channels + 60
