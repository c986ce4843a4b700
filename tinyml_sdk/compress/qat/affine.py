"""Calls that multiply each channel by a constant and add one: batch norms, `Rescaling`, `x / 255 - 1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..filters.flow import kind_of
from ..replay import Call

__all__ = ["Affine", "affine_of"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """y = factor x + offset, for each channel of the last axis.

    Attributes:
        factor, offset: float64 (channels,).
    """

    factor: Array
    offset: Array

    @property
    def is_uniform(self) -> bool:
        """Whether it does the same to all channels."""
        return bool(np.all(self.factor == self.factor[0]) and np.all(self.offset == self.offset[0]))

    @property
    def is_product(self) -> bool:
        """Whether nothing is added."""
        return not self.offset.any()


def affine_of(call: Call) -> Affine | None:
    """What a call computes, if it is such a one."""
    channels = call.inputs[0].shape[-1] if len(call.inputs) == 1 and len(call.inputs[0].shape) > 1 else None
    kind = kind_of(call.layer)
    if channels is None:
        return None
    if kind == "BatchNormalization":
        found = _batch_norm(call.layer, len(call.inputs[0].shape))
    elif kind == "Rescaling":
        found = call.layer.scale, call.layer.offset
    elif kind == "Normalization":
        found = _normalization(call.layer, channels)
    else:
        found = _operation(kind, *call.arguments[0], **call.arguments[1])
    if found is None or any(np.ndim(part) and np.shape(part) != (channels,) for part in found):
        return None
    factor, offset = (np.broadcast_to(np.asarray(part, np.float64), channels) for part in found)
    return Affine(factor, offset)


def _batch_norm(layer: Any, rank: int) -> tuple[Any, Any] | None:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta; None where it is not the channels that it normalizes.

    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2017
    (arXiv:1712.05877), equation 14.
    """
    if layer.axis not in (-1, rank - 1):
        return None
    mean, variance = (np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance))
    factor = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, np.float64)
    return factor, (np.asarray(layer.beta, np.float64) if layer.center else 0.0) - mean * factor


def _normalization(layer: Any, channels: int) -> tuple[Any, Any] | None:
    """y = (x - mean) / max(sqrt(variance), epsilon), or its inverse."""
    import keras

    mean, variance = (np.asarray(value, np.float64) for value in (layer.mean, layer.variance))
    if mean.size not in (1, channels) or variance.size not in (1, channels):
        return None
    deviation = np.maximum(np.sqrt(variance.ravel()), keras.backend.epsilon())
    center = mean.ravel()
    found = (deviation, center) if layer.invert else (1 / deviation, -center / deviation)
    return tuple(part[0] if part.size == 1 else part for part in found)  # type: ignore[return-value]


def _operation(kind: str, *arguments: Any, **keywords: Any) -> tuple[Any, Any] | None:
    """Of `x + 3`, `2 - x`, `x * 0.5` and `x / 6`."""
    if len(arguments) != 2 or keywords or all(isinstance(value, (int, float)) for value in arguments):
        return None
    first, second = arguments
    constant = second if isinstance(second, (int, float)) else first
    if not isinstance(constant, (int, float)):
        return None
    constant_last = constant is second
    if kind == "op:Add":
        return 1.0, constant
    if kind == "op:Subtract":
        return (1.0, -constant) if constant_last else (-1.0, constant)
    if kind == "op:Multiply":
        return constant, 0.0
    if kind in ("op:Divide", "op:TrueDivide") and constant_last and constant:
        return 1.0 / constant, 0.0
    return None
