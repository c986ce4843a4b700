"""What int8 does to a tensor, computed in float: the arithmetic of quantization-aware training.

The scheme is TensorFlow Lite's (its 8-bit quantization specification; `quantization_utils.cc` of the converter):
weights are symmetric in -127 … 127 with scale max|w| / 127, activations asymmetric in -128 … 127 with scale
(high - low) / 255 and zero point rint(-128 - low / scale). All functions take and give Keras tensors, float32, and are
made of `keras.ops` alone, so that they run in any backend, eagerly, traced or compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["fake_quantize", "fake_quantize_weights", "scale_and_zero_point", "weight_scale"]

STEPS = 255
WEIGHT_STEPS = 127
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


def weight_scale(weights: Any, axes: Sequence[int]) -> Any:
    """max|w| / 127 over `axes`, which stay with length 1; 1 where all weights are zero."""
    from keras import ops

    scale = ops.max(ops.abs(weights), axis=tuple(axes), keepdims=True) / WEIGHT_STEPS
    return ops.where(scale > 0, scale, ops.ones_like(scale))


def fake_quantize_weights(weights: Any, axes: Sequence[int]) -> Any:
    """Weights as int8 holds them, with one scale for all elements along `axes`. The gradient passes straight through.

    Zeros stay zeros. Applied to its own result it changes no integer.
    """
    from keras import ops

    scale = weight_scale(weights, axes)
    return weights + ops.stop_gradient(ops.round(weights / scale) * scale - weights)
