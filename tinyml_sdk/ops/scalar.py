"""Convolutions and matrix products for cores without SIMD instructions: candidates, weights' layout and cost.

A tile of pixels times four output channels stays in registers (`firmware_templates/kernels/tinyml_scalar_matrix.h`).
How large the tile can be depends on the core's registers. Requantization is that of the DSP kernels, with their proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .base import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from .dsp import ScaledChannels, padded_to_words, scaled_channels
from .overlap import gathered_lead, gathered_window_lead
from .selection import Candidate
from .weights import FilterConstants
from .window import Window

__all__ = ["SCALAR", "ScalarMatrix", "ScalarScale", "has_many_registers", "portable_effort", "scalar_convolution", "scalar_matrix", "scalar_rows"]

_BLOCK = 4
"""Output channels that are computed together."""

_PRODUCT = {4: 2.6, 2: 2.0}
"""Instructions per product, as counted in the loops, by the pixels of a tile."""

SCALAR = frozenset({"long-multiply"})
"""What a core must have."""


@dataclass(frozen=True, eq=False)
class ScalarScale:
    """What makes outputs of sums, of each channel or once where all are alike.

    Attributes:
        multiplier: int32, (multiplier, offset).
        shift: int8.
        step: 1, or 0 where one entry serves all channels.
    """

    multiplier: Constant
    shift: Constant
    step: int

    @classmethod
    def of(cls, channels: ScaledChannels) -> ScalarScale:
        """The table of a layer."""
        alike = bool((channels.scale == channels.scale[0]).all() and (channels.shift == channels.shift[0]).all())
        count = 1 if alike else len(channels.shift)
        return cls(
            Constant("scale", channels.scale[:count]), Constant("shift", channels.shift[:count]), 0 if alike else 1
        )

    @property
    def arguments(self) -> tuple[Constant, Constant]:
        """In the order of every kernel's parameters."""
        return self.multiplier, self.shift


@dataclass(frozen=True, eq=False)
class ScalarMatrix:
    """What a kernel with a `tinyml_scalar_matrix` takes after its input, and that struct.

    Attributes:
        weights: int8, (blocks, products, channels of a block), padded with zeros.
        bias: int32, padded to whole blocks; the input's zero point is folded in.
        depth: Products of an output, padding included: a multiple of 4.
        parameters: The fields of the struct.
    """

    weights: Constant
    bias: Constant
    scale: ScalarScale
    depth: int
    parameters: dict[str, ParameterValue]

    @property
    def arguments(self) -> tuple[Constant, ...]:
        """In the order of every kernel's parameters."""
        return self.weights, self.bias, *self.scale.arguments


def has_many_registers(view: OpView) -> bool:
    """Whether some thirty registers are there, and not thirteen."""
    return "many-registers" in view.core_features


def portable_effort(view: OpView) -> float:
    """Instructions of the portable kernels on the view's core, as a multiple of those on a Cortex-M4."""
    if has_many_registers(view):
        return 1.7  # two for a product, where an Arm core has one
    return 3.0 if "low-registers" in view.core_features else 1.0


def _tile(view: OpView) -> int:
    """Pixels that are computed together."""
    return 4 if has_many_registers(view) else 2


def scalar_matrix(constants: FilterConstants, tile: int) -> ScalarMatrix:
    """Lay out a layer whose input zero point is folded into the bias, for tiles of so many pixels."""
    channels = scaled_channels(constants)
    scale = ScalarScale.of(channels)
    count, products = channels.weights.shape
    depth = padded_to_words(products)
    missing = -count % _BLOCK
    weights: npt.NDArray[np.int64] = np.pad(channels.weights, ((0, missing), (0, depth - products)))
    blocks = weights.reshape(-1, _BLOCK, depth).transpose(0, 2, 1)
    return ScalarMatrix(
        weights=Constant("weights", blocks.astype(np.int8).reshape(-1)),
        bias=Constant("bias", np.pad(channels.bias, (0, missing)).astype(np.int32)),
        scale=scale,
        depth=depth,
        parameters={
            "depth": depth,
            "channels": count,
            "tile": tile,
            "scale_step": scale.step,
            "output": constants.requantization,
            "multiply": f"tinyml_scalar_tile_{tile}_{channels.form}",
        },
    )


def scalar_rows(view: OpView, constants: FilterConstants, rows: int) -> Candidate:
    """Several rows times a matrix.

    Args:
        view: The op.
        constants: Weights as (output channels, depth), the input's zero point in the bias.
        rows: Batches, or pixels.
    """
    units, depth = constants.weights.values.shape
    first = np.arange(rows)[None]
    tile = _tile(view)
    matrix = scalar_matrix(constants, tile)
    parameters = Parameters(
        "tinyml_fully_connected_scalar_params", {"rows": rows, "depth": depth, "matrix": matrix.parameters}
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_rows_scalar",
        header="fully_connected_scalar.h",
        arguments=(parameters, Input(0), *matrix.arguments, Output(), Scratch()),
        macs=rows * units * depth,
        lead=(gathered_lead(first * depth, first * units, tile),),
        scratch_bytes=tile * matrix.depth,
    )
    return Candidate(layer, _cost(tile, rows, matrix.depth, units, gathering=1.5 * depth), SCALAR)


def scalar_convolution(view: OpView, window: Window, constants: FilterConstants) -> Candidate:
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
    matrix = scalar_matrix(constants, tile)
    parameters = Parameters(
        "tinyml_conv_2d_scalar_params",
        {**window.runs_parameters(input_.shape[3], input_.zero_point), "matrix": matrix.parameters},
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_conv_2d_scalar",
        header="conv_2d_scalar.h",
        arguments=(parameters, Input(0), *matrix.arguments, Output(), Scratch()),
        macs=output.elements * products,
        lead=(gathered_window_lead(window, input_channels=input_.shape[3], output_channels=channels, tile=tile),),
        scratch_bytes=tile * matrix.depth + (run if run % 4 == 0 else products),
    )
    pixels = output.elements // channels
    gathering = 30 * runs + 4 * products
    return Candidate(layer, _cost(tile, pixels, matrix.depth, channels, gathering=gathering), SCALAR)


def _cost(tile: int, pixels: int, depth: int, channels: int, *, gathering: float) -> float:
    """Instructions of all products of so many pixels. `gathering`: those of a pixel's inputs."""
    blocks, tiles = -(-channels // _BLOCK), -(-pixels // tile)
    return tiles * (blocks * (_PRODUCT[tile] * tile * _BLOCK * depth + 80) + 40) + pixels * (12 * channels + gathering)
