"""Convolutions and matrix products for cores without SIMD instructions: candidates, weights' layout and cost.

A tile of pixels times four output channels stays in registers (`kernels/scalar/tinyml_scalar_matrix.h`).
How large the tile can be depends on the core's registers. Requantization is that of the DSP kernels, with their proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..base import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from ..dsp.matrix import ScaledChannels, padded_to_words, scaled_channels
from ..overlap import gathered_lead, gathered_window_lead
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from ..window import Window
from .narrow_scaling import narrow_channels

__all__ = [
    "SCALAR",
    "ScalarMatrix",
    "ScalarScale",
    "has_low_registers",
    "has_many_registers",
    "portable_effort",
    "scalar_channels",
    "scalar_convolution",
    "scalar_instances",
    "scalar_matrix",
    "scalar_rows",
]

_BLOCK = 4
"""Output channels that are computed together."""

SCALAR = frozenset({"scalar"})
"""What a core must have."""

_PAIRS_REFUSED = "two neighbouring weights are -128, whose products do not fit 16 bits"


def scalar_channels(view: OpView, constants: FilterConstants) -> ScaledChannels:
    """The channels of a layer with the requantization of the view's core: narrow where it has no product of 64 bits."""
    narrow = narrow_channels(constants) if has_low_registers(view) else None
    return narrow or scaled_channels(constants)


@dataclass(frozen=True, eq=False)
class ScalarScale:
    """What makes outputs of sums, of each channel or once where all are alike.

    Attributes:
        scale: int32, a word of each channel: its multiplier, or that of `NarrowScale`.
        shift: int8, its shift, or the two bytes of `NarrowScale`.
        step: 1, or 0 where one entry serves all channels.
    """

    scale: Constant
    shift: Constant
    step: int

    @classmethod
    def of(cls, channels: ScaledChannels) -> ScalarScale:
        """The table of a layer. Offsets follow from shifts."""
        words, shift = channels.scale[:, 0], channels.shift
        alike = bool((words == words[0]).all() and (shift == shift[0]).all())
        count = 1 if alike else len(words)
        return cls(Constant("scale", words[:count]), Constant("shift", shift[:count]), 0 if alike else 1)

    @property
    def arguments(self) -> tuple[Constant, Constant]:
        """In the order of every kernel's parameters."""
        return self.scale, self.shift


@dataclass(frozen=True, eq=False)
class ScalarMatrix:
    """What a kernel with a `tinyml_scalar_matrix` takes after its input, and that struct.

    Attributes:
        weights: int8, in the order of the kernel.
        bias: int32; the input's zero point is folded in.
        depth: Products of an output, padding included: a multiple of 4.
        tile_bytes: What the inputs of a tile take in scratch.
        parameters: The fields of the struct.
    """

    weights: Constant
    bias: Constant
    scale: ScalarScale
    depth: int
    tile_bytes: int
    parameters: dict[str, ParameterValue]

    @property
    def arguments(self) -> tuple[Constant, ...]:
        """In the order of every kernel's parameters."""
        return self.weights, self.bias, *self.scale.arguments


def has_many_registers(view: OpView) -> bool:
    """Whether some thirty registers are there, and not thirteen."""
    return "many-registers" in view.core_features


def has_low_registers(view: OpView) -> bool:
    """Whether the core is one of Armv6-M, which has kernels in assembler."""
    return "low-registers" in view.core_features


def portable_effort(view: OpView) -> float:
    """Instructions of the portable kernels on the view's core, as a multiple of those on a Cortex-M4."""
    if has_many_registers(view):
        return 1.7  # two for a product, where an Arm core has one
    return 3.0 if has_low_registers(view) else 1.0


def _tile(view: OpView) -> int:
    """Pixels that are computed together."""
    return 4 if has_many_registers(view) or has_low_registers(view) else 2


def scalar_matrix(view: OpView, constants: FilterConstants) -> ScalarMatrix | None:
    """Lay out a layer whose input zero point is folded into the bias, for the view's core.

    Returns:
        None where a sum of two products has no room.
    """
    channels = scalar_channels(view, constants)
    scale = ScalarScale.of(channels)
    count, products = channels.weights.shape
    depth = padded_to_words(products)
    tile = _tile(view)
    widened = has_low_registers(view)
    block = 1 if widened else _BLOCK
    weights, bias = _blocks(channels, depth, block)
    if widened and not _pairs_fit(weights):
        return None
    return ScalarMatrix(
        weights=Constant("weights", weights.astype(np.int8)),
        bias=Constant("bias", bias.astype(np.int32)),
        scale=scale,
        depth=depth,
        tile_bytes=tile * depth * (2 if widened else 1),
        parameters={
            "depth": depth,
            "channels": count,
            "tile": tile,
            "widened": int(widened),
            "scale_step": scale.step,
            "output": constants.requantization,
            "form": f"TINYML_SCALAR_{channels.form.upper()}",
            **scalar_instances(view, "multiply", "armv6m" if widened else f"tile_{tile}", channels.form),
        },
    )


def scalar_instances(view: OpView, field: str, name: str, form: str) -> dict[str, ParameterValue]:
    """The C functions that a parameter struct names: an instance for the layer's form, or for size one for all forms.

    The latter on Armv6-M alone: there it takes a twentieth more instructions, elsewhere a tenth.
    """
    if view.optimize == "size" and has_low_registers(view):
        return {field: f"tinyml_scalar_{name}", "finish": f"tinyml_scalar_finish_{form}"}
    return {field: f"tinyml_scalar_{name}_{form}", "finish": "NULL"}


def _blocks(channels: ScaledChannels, depth: int, block: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Weights as (blocks, products, channels of a block), padded with zeros, and the biases of all blocks."""
    count, products = channels.weights.shape
    missing = -count % block
    weights: npt.NDArray[np.int64] = np.pad(channels.weights, ((0, missing), (0, depth - products)))
    return weights.reshape(-1, block, depth).transpose(0, 2, 1).reshape(-1), np.pad(channels.bias, (0, missing))


def _pairs_fit(weights: npt.NDArray[np.int64]) -> bool:
    """Whether each two products of a channel make a sum in [-2^15, 2^15), whatever the inputs are.

    They do unless both weights are -128, which is none of the numbers that weights are quantized to, -127 to 127.
    """
    pairs = weights.reshape(-1, 2)
    return bool(np.where(pairs > 0, 127 * pairs, -128 * pairs).sum(axis=1).max() < 2**15)


def scalar_rows(view: OpView, constants: FilterConstants, rows: int) -> Candidate | Refusal:
    """Several rows times a matrix.

    Args:
        view: The op.
        constants: Weights as (output channels, depth), the input's zero point in the bias.
        rows: Batches, or pixels.
    """
    units, depth = constants.weights.values.shape
    first = np.arange(rows)[None]
    tile = _tile(view)
    matrix = scalar_matrix(view, constants)
    if matrix is None:
        return Refusal("tinyml_fully_connected_rows_scalar", _PAIRS_REFUSED)
    parameters = Parameters(
        "tinyml_fully_connected_scalar_params", {"rows": rows, "depth": depth, "matrix": matrix.parameters}
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_rows_scalar",
        header="scalar/fully_connected_scalar.h",
        arguments=(parameters, Input(0), *matrix.arguments, Output(), Scratch()),
        macs=rows * units * depth,
        lead=(gathered_lead(first * depth, first * units, tile),),
        scratch_bytes=matrix.tile_bytes,
        shared=True,
    )
    gathering = (1.5 if depth % 4 == 0 else 7.0) * depth
    if not has_low_registers(view):
        gathering += 25 + 3 * units  # of a row, beside what a convolution's pixel takes
    return Candidate(layer, _cost(view, rows, matrix.depth, units, gathering=gathering), SCALAR)


def scalar_convolution(view: OpView, window: Window, constants: FilterConstants) -> Candidate | Refusal:
    """A convolution, or a depthwise one of a single input channel, which is the same.

    Args:
        view: The op.
        window: Its geometry.
        constants: Weights as (output channels, products in the order of rows, columns and input channels), the input's
            zero point in the bias.
    """
    input_, output = view.activation(0), view.output()
    channels, products = constants.weights.values.shape
    run = window.run_taps * input_.shape[3]
    runs = products // run
    tile = _tile(view)
    matrix = scalar_matrix(view, constants)
    if matrix is None:
        return Refusal("tinyml_conv_2d_scalar", _PAIRS_REFUSED)
    parameters = Parameters(
        "tinyml_conv_2d_scalar_params",
        {**window.runs_parameters(input_.shape[3], input_.zero_point), "matrix": matrix.parameters},
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_conv_2d_scalar",
        header="scalar/conv_2d_scalar.h",
        arguments=(parameters, Input(0), *matrix.arguments, Output(), Scratch()),
        macs=output.elements * products,
        lead=(gathered_window_lead(window, input_channels=input_.shape[3], output_channels=channels, tile=tile),),
        scratch_bytes=matrix.tile_bytes + (run if run % 4 == 0 else products),
        shared=True,
    )
    pixels = output.elements // channels
    gathering = 30 * runs + (1.5 if run % 4 == 0 else 5.0) * products
    return Candidate(layer, _cost(view, pixels, matrix.depth, channels, gathering=gathering), SCALAR)


def _cost(view: OpView, pixels: int, depth: int, channels: int, *, gathering: float) -> float:
    """Instructions of all products of so many pixels, as counted. `gathering`: those of a pixel's inputs."""
    tile = _tile(view)
    tiles = -(-pixels // tile)
    if has_low_registers(view):
        return tiles * (channels * (tile * 2.35 * depth + 60) + 20 * depth) + pixels * (17 * channels + gathering)
    blocks, product = -(-channels // _BLOCK), 2.6 if has_many_registers(view) else 2.0
    return tiles * (blocks * (product * tile * _BLOCK * depth + 80) + 40) + pixels * (12 * channels + gathering)
