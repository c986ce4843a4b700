"""What int8 does to a tensor, computed in float: the arithmetic of quantization-aware training.

The scheme is TensorFlow Lite's (its 8-bit quantization specification; `quantization_utils.cc` of the converter):
weights are symmetric in -127 … 127 with scale max|w| / 127, activations asymmetric in -128 … 127 with scale
(high - low) / 255 and zero point rint(-128 - low / scale). Weights of four bits are in -7 … 7, with a scale that may
clip the greatest. All functions take and give Keras tensors, float32, and are made of `keras.ops` alone, so that they
run in any backend, eagerly, traced or compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["fake_quantize", "fake_quantize_weights", "scale_and_zero_point", "weight_scale"]

STEPS = 255
WEIGHT_STEPS = 127
INT4_STEPS = 7
_INT4_SCALES = tuple(share / 16 for share in range(16, 4, -1))  # of max|w| / 7
_FLOAT_ERROR = 1e-3  # of a step: float32 may miss the middle by less, and means of up to 500 values by no less


def scale_and_zero_point(low: Any, high: Any) -> tuple[Any, Any]:
    """Scale and zero point of an activation between `low` <= 0 and `high` >= 0; the zero point is a float.

    An empty range has scale 1, as nothing but zero can be met.
    """
    from keras import ops

    scale = (high - low) / STEPS
    scale = ops.where(scale > 0, scale, ops.ones_like(scale))
    return scale, ops.clip(ops.round(-128.0 - low / scale), -128.0, 127.0)


def fake_quantize(values: Any, low: Any, high: Any, averaged: bool = False) -> Any:
    """Activations as int8 holds them: clipped to the range, rounded to its 256 values.

    The gradient passes straight through the rounding and stops where values are clipped.

    Args:
        values: Of any shape.
        low, high: The range; scalars.
        averaged: Whether the values are means of stored ones, which often lie halfway between two steps. TensorFlow
            Lite Micro (`pooling.h`, `AveragePool`) rounds these away from the stored zero.
    """
    from keras import ops

    scale, zero_point = scale_and_zero_point(low, high)
    clipped = ops.clip(values, (-128.0 - zero_point) * scale, (127.0 - zero_point) * scale)
    if averaged:
        exact = clipped / scale + zero_point
        stored = ops.sign(exact) * ops.floor(ops.abs(exact) + 0.5 + _FLOAT_ERROR)
    else:
        stored = ops.round(clipped / scale) + zero_point
    stored = ops.clip(stored, -128.0, 127.0)
    return clipped + ops.stop_gradient((stored - zero_point) * scale - clipped)


def weight_scale(weights: Any, axes: Sequence[int], int4: bool = False) -> Any:
    """max|w| / 127 over `axes`, which stay with length 1; 1 where all weights are zero.

    With `int4` the one of a dozen scales, max|w| / 7 the greatest, whose rounding and clipping errors have the least
    sum of squares.
    """
    from keras import ops

    widest = ops.max(ops.abs(weights), axis=tuple(axes), keepdims=True) / (INT4_STEPS if int4 else WEIGHT_STEPS)
    widest = ops.where(widest > 0, widest, ops.ones_like(widest))
    if not int4:
        return widest
    best = widest
    least = _squared_error(weights, best, axes)
    for share in _INT4_SCALES[1:]:
        scale = widest * share
        error = _squared_error(weights, scale, axes)
        best = ops.where(error < least, scale, best)
        least = ops.minimum(error, least)
    return best


def _squared_error(weights: Any, scale: Any, axes: Sequence[int]) -> Any:
    from keras import ops

    return ops.sum(ops.square(_on_grid(weights, scale, INT4_STEPS) - weights), axis=tuple(axes), keepdims=True)


def _on_grid(weights: Any, scale: Any, steps: int) -> Any:
    from keras import ops

    return ops.clip(ops.round(weights / scale), -steps, steps) * scale


def fake_quantize_weights(weights: Any, axes: Sequence[int], int4: bool = False) -> Any:
    """Weights as int8 holds them, or int4, with one scale for all elements along `axes`.

    The gradient passes straight through, also where int4 clips. Zeros stay zeros. Applied to its own result it changes
    no integer.
    """
    from keras import ops

    scale = ops.stop_gradient(weight_scale(weights, axes, int4))
    rounded = _on_grid(weights, scale, INT4_STEPS if int4 else WEIGHT_STEPS)
    return weights + ops.stop_gradient(rounded - weights)
