"""Constants for the kernels of cores with Arm's vector extension MVE (Helium), and which of their forms is exact.

The kernels (`kernels/mve/tinyml_mve_matrix.h`) multiply sixteen bytes at a time and requantize four sums
at a time, with both of TFLM's roundings. What a layer needs of that depends on its shifts and its activation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..base import Constant, ParameterValue
from ..weights import FilterConstants

__all__ = [
    "MVE",
    "PARTS",
    "VECTOR",
    "MveConstants",
    "mve_constants",
    "mve_cost",
    "padded_to_vectors",
    "requantization_form",
]

MVE = frozenset({"mve"})
"""What a core must have."""

VECTOR = 16
"""Bytes of a vector."""

PARTS = {"pair": 64, "row": 32}
"""Channels whose sums lie in scratch together: TINYML_MVE_PAIR_CHANNELS, TINYML_MVE_ROW_CHANNELS."""

_BLOCKS = {"pair": 4, "row": 8}
"""Channels that are multiplied at a time."""

_GROUP = 8
"""Channels that are requantized at a time."""


@dataclass(frozen=True, eq=False)
class MveConstants:
    """What a kernel with a `tinyml_mve_matrix` takes after its input, and the facts of that struct.

    Attributes:
        weights: int32, the stream of biases and weights.
        multiplier: int32, in the order of the sums; eight where all channels are alike.
        shift: int8, those that go with them.
        depth: Products of an output, padding included: a multiple of 16.
        shape: `pair` or `row`: what is multiplied at a time.
        form: `clamped`, `signed` or `general`: how sums become outputs.
    """

    weights: Constant
    multiplier: Constant
    shift: Constant
    depth: int
    channels: int
    shape: str
    form: str
    requantization: dict[str, ParameterValue]

    @property
    def arguments(self) -> tuple[Constant, Constant, Constant]:
        """In the order of every kernel's parameters."""
        return self.weights, self.multiplier, self.shift

    @property
    def matrix(self) -> dict[str, ParameterValue]:
        """The struct `tinyml_mve_matrix`."""
        return {
            "steps": self.depth // VECTOR,
            "channels": self.channels,
            "scale_step": _GROUP if self.shift.values.size > _GROUP else 0,
            "output": self.requantization,
            "multiply": f"tinyml_mve_{self.shape}_{self.form}",
        }

    @property
    def sum_bytes(self) -> int:
        """Scratch for the sums of a part of the channels."""
        block = _BLOCKS[self.shape]
        return 32 * (-(-min(self.channels, PARTS[self.shape]) // block))


def mve_constants(constants: FilterConstants, *, shape: str) -> MveConstants:
    """Lay out a layer for the kernels.

    Args:
        constants: The portable kernel's, with the input's zero point folded.
        shape: `pair` or `row`.
    """
    count = len(constants.weights.values)
    order = _order(count, _BLOCKS[shape])
    multiplier, shift = (
        np.append(np.resize(constant.values, count), 0)[order]  # -1 is a channel of zeros
        for constant in (constants.multiplier, constants.shift)
    )
    if constants.multiplier.values.size == 1:  # all alike: eight entries serve every group
        multiplier, shift = (np.resize(constant.values, _GROUP) for constant in (constants.multiplier, constants.shift))
    depth = padded_to_vectors(constants.weights.values.shape[1])
    return MveConstants(
        weights=Constant("weights", _stream(constants, order, depth, _BLOCKS[shape])),
        multiplier=Constant("multiplier", multiplier.astype(np.int32)),
        shift=Constant("shift", shift.astype(np.int8)),
        depth=depth,
        channels=count,
        shape=shape,
        form=requantization_form(constants),
        requantization=constants.requantization,
    )


def padded_to_vectors(size: int) -> int:
    """A number of bytes rounded up to whole vectors."""
    return -(-size // VECTOR) * VECTOR


def requantization_form(constants: FilterConstants) -> str:
    """The cheapest form that gives TFLM's bytes.

    VQRDMULH is TFLM's `SaturatingRoundingDoublingHighMul`. VRSHL rounds ties up, where `RoundingDivideByPOT` has them
    away from zero: below zero, one is taken away before, which is exact for every shift by one bit or more. With ReLU
    and a zero point of -128 all below zero ends there, whichever way it is rounded.
    """
    requantization = constants.requantization
    saturated = (requantization["activation_min"], requantization["activation_max"]) == (-128, 127)
    most = int(constants.shift.values.max())
    if saturated and requantization["output_zero_point"] == -128 and most <= 0:
        return "clamped"
    return "signed" if saturated and most < 0 else "general"


def _order(count: int, block: int) -> npt.NDArray[np.intp]:
    """For each sum, its channel, or -1 for none: in each group of eight the even ones, then the odd ones.

    Of a last group, up to four are in order, in a block by themselves.
    """
    order: list[int] = []
    for first in range(0, count, _GROUP):
        left = count - first
        lanes = [0, 2, 4, 6, 1, 3, 5, 7] if left > _GROUP // 2 else list(range(block))
        order += [first + lane if lane < left else -1 for lane in lanes]
    return np.array(order)


def _stream(constants: FilterConstants, order: npt.NDArray[np.intp], depth: int, block: int) -> npt.NDArray[np.int32]:
    """For each block of channels the biases, then for every vector of inputs one of weights for each channel."""
    weights = constants.weights.values.astype(np.int8)
    weights = np.pad(weights, ((0, 1), (0, depth - weights.shape[1])))[order]
    bias = np.append(constants.bias.values, 0).astype(np.int32)[order]
    vectors = weights.reshape(-1, block, depth // VECTOR, VECTOR).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(vectors).view(np.int32).reshape(len(vectors), -1)
    return np.concatenate([bias.reshape(-1, block), words], axis=1).reshape(-1)


# -- cost ---------------------------------------------------------------------------------------------------------

_FINISHING = {"clamped": 0.0, "signed": 4.0, "general": 18.0}
"""Instructions for eight sums beyond those of the cheapest form."""


def mve_cost(constants: MveConstants, rows: int, *, gathering: float = 0.0) -> float:
    """Instructions of all products of `rows` rows, two at a time unless there is just one.

    Args:
        constants: The layer's.
        rows: Its rows, or pixels.
        gathering: Instructions for the inputs of each two.
    """
    steps = constants.depth / VECTOR
    block, step = (4, 14.0) if constants.shape == "pair" else (8, 17.0)
    blocks = -(-constants.channels // block)
    products = 8 + step * steps + 2 * -(-steps // 4)
    return -(-rows // 2) * (blocks * (products + 16 + _FINISHING[constants.form]) + 25 + gathering) + 150
