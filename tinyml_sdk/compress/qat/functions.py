"""Activation functions by name, whichever way a model has them: `Activation`, a layer of their own, `keras.ops`."""

from __future__ import annotations

from typing import Any

from ..filters.flow import kind_of

__all__ = ["function_of"]

_FUNCTIONS = {
    "Abs": "abs",
    "Absolute": "abs",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "LeakyReLU": "leaky_relu",
    "LeakyRelu": "leaky_relu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softmax": "softmax",
    "Tanh": "tanh",
}


def function_of(layer: Any) -> str:
    """The name of the function that a layer or operation is, or ""."""
    kind = kind_of(layer)
    if kind == "Activation":
        return str(getattr(layer.activation, "__name__", ""))
    if kind == "ReLU":
        return _relu(layer)
    return _FUNCTIONS.get(kind.removeprefix("op:"), "")


def _relu(layer: Any) -> str:
    if layer.threshold or layer.max_value not in (None, 6) or (layer.max_value and layer.negative_slope):
        return ""
    if layer.negative_slope:
        return "leaky_relu"
    return "relu6" if layer.max_value else "relu"
