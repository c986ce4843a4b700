"""FULLY_CONNECTED of a single row for cores without SIMD instructions: two channels in each product.

The kernel (`kernels/scalar/fully_connected_row_scalar.h`) adds the products of two channels in one register
of 32 bits. It is cut into segments of products which fit 16 bits for all inputs there are; that is proved here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..base import Constant, Input, Layer, OpView, Output, Parameters, Scratch
from ..dsp.matrix import padded_to_words, scaled_channels
from ..selection import Candidate, Refusal
from ..weights import FilterConstants
from .matrix import (
    SCALAR,
    ScalarScale,
    has_low_registers,
    has_many_registers,
    scalar_channels,
)

__all__ = ["scalar_row", "segment_lengths"]

_KERNEL = "tinyml_fully_connected_row_scalar"
_CHANNELS, _BLOCK = 8, 4  # TINYML_ROW_CHANNELS; channels at a time on Armv6-M
_LONGEST = 255
"""Products of a segment at most: their number is a byte."""

_SEGMENT_START = 0x8000
"""TINYML_ROW_START: what makes the lower of two sums in one register positive."""

Int64 = npt.NDArray[np.int64]


def scalar_row(view: OpView, constants: FilterConstants) -> Candidate | Refusal:
    """The layer of a row times a matrix, for the view's core.

    Args:
        view: The op.
        constants: Weights as (output channels, depth), the input's zero point in the bias.
    """
    return _armv6m(view, constants) if has_low_registers(view) else _two_in_one(view, constants)


def _two_in_one(view: OpView, constants: FilterConstants) -> Candidate | Refusal:
    scaled = scaled_channels(constants)
    units, depth = scaled.weights.shape
    missing = -units % _CHANNELS
    weights: Int64 = np.pad(scaled.weights, ((0, missing), (0, 0))).reshape(-1, _CHANNELS, depth)
    segments = [segment_lengths(block) for block in weights]
    bias = np.pad(scaled.bias, (0, missing)).reshape(-1, _CHANNELS)
    # The lower channel of each pair, those of the bytes A and B, starts every segment a little higher.
    lower = np.array([1, 1, 0, 0] * 2)
    bias = bias - _SEGMENT_START * lower * np.array([len(lengths) for lengths in segments])[:, None]
    if np.abs(bias).max() >= 2**31:
        return Refusal(_KERNEL, "a bias leaves no room for what the segments start with")
    scale = ScalarScale.of(scaled)
    parameters = Parameters(
        "tinyml_fully_connected_row_scalar_params",
        {
            "depth": depth,
            "channels": units,
            "scale_step": scale.step,
            "output": constants.requantization,
            "form": f"TINYML_SCALAR_{scaled.form.upper()}",
        },
    )
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="scalar/fully_connected_row_scalar.h",
        arguments=(
            parameters,
            Input(0),
            Constant("weights", _stream(weights)),
            Constant("segments", np.concatenate(segments).astype(np.uint8)),
            Constant("bias", bias.astype(np.int32).reshape(-1)),
            *scale.arguments,
            Output(),
        ),
        macs=units * depth,
        lead=((units - 1) // _CHANNELS * _CHANNELS,),
    )
    count = sum(len(lengths) for lengths in segments)
    product = 2.3 if has_many_registers(view) else 1.7
    return Candidate(layer, product * (units + missing) * depth + 35.0 * count + 25.0 * (units + missing), SCALAR)


def segment_lengths(block: Int64) -> list[int]:
    """How many products each segment has: as many as fit, at most 255.

    Args:
        block: (channels, depth), the weights of channels that are computed together.

    A channel's sum of a segment lies in [-2^15, 2^15) for all int8 inputs.
    """
    most = np.where(block > 0, 127 * block, -128 * block)
    least = np.where(block > 0, -128 * block, 127 * block)
    lengths: list[int] = []
    high = low = np.zeros(len(block), np.int64)
    for step in range(block.shape[1]):
        high, low = high + most[:, step], low + least[:, step]
        is_full = high.max() >= 2**15 or low.min() < -(2**15)
        if not lengths or is_full or lengths[-1] == _LONGEST:
            lengths.append(0)
            high, low = most[:, step], least[:, step]
        lengths[-1] += 1
    return lengths


def _armv6m(view: OpView, constants: FilterConstants) -> Candidate:
    """Four channels at a time, in assembler."""
    scaled = scalar_channels(view, constants)
    units, depth = scaled.weights.shape
    padded, missing = padded_to_words(depth), -units % _BLOCK
    weights: Int64 = np.pad(scaled.weights, ((0, missing), (0, padded - depth))).reshape(-1, _BLOCK, padded)
    scale = ScalarScale.of(scaled)
    parameters = Parameters(
        "tinyml_fully_connected_row_armv6m_params",
        {
            "depth": depth,
            "channels": units,
            "scale_step": scale.step,
            "output": constants.requantization,
            "form": f"TINYML_SCALAR_{scaled.form.upper()}",
        },
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_row_armv6m",
        header="scalar/fully_connected_row_armv6m.h",
        arguments=(
            parameters,
            Input(0),
            Constant("weights", (weights + 128).transpose(0, 2, 1).astype(np.uint8).view(np.int8).reshape(-1)),
            Constant("bias", np.pad(scaled.bias, (0, missing)).astype(np.int32)),
            *scale.arguments,
            Output(),
            Scratch(),
        ),
        macs=units * depth,
        lead=((units - 1) // _BLOCK * _BLOCK if padded == depth else 0,),
        scratch_bytes=padded if padded != depth else 0,
    )
    return Candidate(layer, (units + missing) * (3.5 * padded + 50) + 4.0 * depth, SCALAR)


def _stream(weights: Int64) -> npt.NDArray[np.int32]:
    """(blocks, 8, depth) as words of four channels, each weight raised by 128: (blocks, depth, 2)."""
    raised = (weights + 128).transpose(0, 2, 1).astype(np.uint8)
    return np.ascontiguousarray(raised).view("<i4").reshape(-1).astype(np.int32)
