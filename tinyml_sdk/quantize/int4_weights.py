"""Weights of four bits: their scale, their integers, and the biases to match.

The scheme is TensorFlow Lite's for int8 weights, with fewer steps: symmetric, in the narrow range -7 … 7, one scale for
each channel or for the tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph.int4_file import QuantizedConstant
from .fake_quantization import INT4_STEPS

__all__ = ["int4_weights", "quantized_bias"]

Array = npt.NDArray[Any]

_CANDIDATES = 64
_ROUNDS = 8  # of fitting the scale to the integers
_MOST_BIAS = 2**30  # leaves room for the products, as TensorFlow's converter does


def int4_weights(
    kernel: Array, axis: int | None, *, bias: Array | None, input_scale: float, dead: Array
) -> QuantizedConstant:
    """Quantize a kernel with the scale whose rounding and clipping errors have the least sum of squares.

    Scales up to max|w| / 7 are tried, and each is fitted to the integers that it gives, by least squares, in turn with
    these. Source: Nagel et al., "A White Paper on Neural Network Quantization", 2021 (arXiv:2106.08295), section 3.1.

    Args:
        kernel: Float, of any shape.
        axis: Of its channels, each of which gets a scale; None for one scale of all.
        bias: Float of shape (channels,) or None; where it is large, the scale is large enough for it to fit in int32.
        input_scale: Of the operator's input.
        dead: The scales, above zero, of channels whose weights are all zero: (channels,), or (1,) without an axis.
    """
    wide = kernel.astype(np.float64)
    rows = wide.reshape(1, -1) if axis is None else np.moveaxis(wide, axis, 0).reshape(wide.shape[axis], -1)
    scale = _best_scales(rows)
    if bias is not None:
        needed = np.abs(bias.astype(np.float64)) / (input_scale * _MOST_BIAS)
        scale = np.maximum(scale, needed.max() if axis is None else needed)
    scale = np.where(scale > 0, scale, dead).astype(np.float32)
    found = QuantizedConstant(np.zeros(kernel.shape, np.int8), scale, axis or 0)
    values = np.clip(np.rint(wide / found.step), -INT4_STEPS, INT4_STEPS).astype(np.int8)
    return QuantizedConstant(values, scale, found.axis)


def _best_scales(rows: Array) -> Array:
    """For each row (channels, weights) the scale with the least squared error; 0 for one of zeros."""
    widest: Array = np.abs(rows).max(axis=1, initial=0.0) / INT4_STEPS
    best, least = widest, _errors(rows, widest)
    for candidate in range(_CANDIDATES, 0, -1):
        scale = widest * candidate / _CANDIDATES
        for _ in range(_ROUNDS):
            error = _errors(rows, scale)
            better = error < least
            best, least = np.where(better, scale, best), np.where(better, error, least)
            fitted = _fitted(rows, scale)
            if np.allclose(fitted, scale, rtol=1e-6, atol=0):
                break
            scale = fitted
    return best


def _rounded(rows: Array, scale: Array) -> Array:
    steps = np.where(scale > 0, scale, 1.0)[:, None]
    rounded: Array = np.clip(np.rint(rows / steps), -INT4_STEPS, INT4_STEPS)
    return rounded


def _errors(rows: Array, scale: Array) -> Array:
    errors: Array = np.sum((rows - _rounded(rows, scale) * scale[:, None]) ** 2, axis=1)
    return errors


def _fitted(rows: Array, scale: Array) -> Array:
    """The scale that suits the integers of another one best: the projection of the weights on them."""
    values = _rounded(rows, scale)
    power = np.sum(values**2, axis=1)
    return np.where(power > 0, np.sum(rows * values, axis=1) / np.where(power > 0, power, 1.0), scale)


def quantized_bias(bias: Array, input_scale: float, scale: Array) -> QuantizedConstant:
    """A bias as the operator adds it to its products.

    Args:
        bias: Float of shape (channels,).
        input_scale: Of the operator's input.
        scale: Of its weights, float32 of shape (channels,) or (1,).

    Returns:
        int32, in the scale input scale x weight scale.
    """
    product = (np.float32(input_scale) * scale.astype(np.float32)).astype(np.float32)
    most = 2**31 - 1
    stored = np.clip(np.rint(bias.astype(np.float64) / product), -most, most).astype(np.int32)
    return QuantizedConstant(stored, product)
