"""A Keras model with channels taken out: smaller (`rebuild`), or of the same shape with zeros instead (`mask`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...quantize.keras_weights import give_weights
from ..replay import copy_layer, flattened, replay
from .channels import Analysis, Kept, LayerChannels
from .flow import PRODUCERS, kind_of

__all__ = ["mask", "rebuild"]

Array = npt.NDArray[Any]
Side = Literal["in", "out", "between"]

# For each weight of a layer, by its name, which of its axes counts which channels. A separable convolution has
# depth_multiplier channels for each input between its two kernels.
_CONV: dict[str, dict[int, Side]] = {"kernel": {-2: "in", -1: "out"}, "bias": {-1: "out"}}
_TRANSPOSE: dict[str, dict[int, Side]] = {"kernel": {-1: "in", -2: "out"}, "bias": {-1: "out"}}
_DEPTHWISE: dict[str, dict[int, Side]] = {"kernel": {-2: "in"}, "bias": {-1: "out"}}
_SEPARABLE: dict[str, dict[int, Side]] = {
    "depthwise_kernel": {-2: "in"},
    "pointwise_kernel": {-2: "between", -1: "out"},
    "bias": {-1: "out"},
}
_PER_CHANNEL: dict[str, dict[int, Side]] = {
    weight: {-1: "in"} for weight in ("gamma", "beta", "moving_mean", "moving_variance", "alpha")
}
_RECURRENT: dict[str, dict[int, Side]] = {"kernel": {-2: "in"}, "recurrent_kernel": {}, "bias": {}}

WEIGHT_AXES: Mapping[str, Mapping[str, Mapping[int, Side]]] = {
    "BatchNormalization": _PER_CHANNEL,
    "Conv1D": _CONV,
    "Conv1DTranspose": _TRANSPOSE,
    "Conv2D": _CONV,
    "Conv2DTranspose": _TRANSPOSE,
    "Dense": _CONV,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "Flatten": {},
    "GRU": _RECURRENT,
    "LSTM": _RECURRENT,
    "PReLU": _PER_CHANNEL,
    "Reshape": {},
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "SimpleRNN": _RECURRENT,
}
"""Kinds of layers whose shape depends on a number of channels, and along which axes of their weights."""


def rebuild(model: Any, analysis: Analysis, kept: Kept) -> Any:
    """Make the model physically smaller.

    Args:
        model: The model that was analysed. It is not changed.
        analysis: By `analyze_channels`.
        kept: The channels to keep, by group.

    Returns:
        A new, uncompiled model of the same inputs, outputs, names, dtypes, regularizers, constraints and trainable
        flags; models used as layers are dissolved. It computes what `mask` computes.

    Raises:
        InputError: `kept` does not fit the analysis.
    """
    stays = analysis.stays(kept)

    def smaller(layer: Any, name: str) -> Any:
        channels = analysis.layers.get(name)
        if channels is None:
            return copy_layer(layer, name)
        return copy_layer(layer, name, **_new_sizes(layer, channels, stays))

    small, pairs = replay(flattened(model), smaller)
    for old, new in pairs:
        if getattr(old, "weights", None):
            channels = analysis.layers.get(old.name)
            give_weights(new, old.get_weights() if channels is None else _cut(old, channels, stays))
    return small


def mask(model: Any, analysis: Analysis, kept: Kept) -> Any:
    """Put zeros in place of the channels that `rebuild` would remove; arguments, result and errors as there.

    Zeroed is what makes a channel and what reads it: the second is needed, as sigmoid(0) and a shift after a sum are
    not 0. The result computes what the rebuilt model does, but for the order in which floats are added.
    """
    stays = analysis.stays(kept)
    masked, pairs = replay(flattened(model), copy_layer)
    for old, new in pairs:
        if getattr(old, "weights", None):
            channels = analysis.layers.get(old.name)
            give_weights(new, old.get_weights() if channels is None else _zeroed(old, channels, stays))
    return masked


def _new_sizes(layer: Any, channels: LayerChannels, stays: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What changes in the layer's configuration: its number of filters or units, or the last axis of a shape."""
    kind, width = kind_of(layer), int(stays[channels.outputs].sum())
    if kind == "Reshape" and layer.target_shape[-1] != -1:
        return {"target_shape": (*layer.target_shape[:-1], width)}
    if kind == "op:Reshape":
        return {"newshape": (*layer.newshape[:-1], width)}
    if kind in PRODUCERS:
        return {"units" if kind == "Dense" else "filters": width}
    return {}


def _cut(layer: Any, channels: LayerChannels, stays: npt.NDArray[np.bool_]) -> list[Array]:
    weights = []
    for variable, values in zip(layer.weights, layer.get_weights(), strict=True):
        for axis, keep in _keeps(layer, variable, values, channels, stays).items():
            values = np.compress(keep, values, axis)  # noqa: PLW2901 - each axis cuts what the last one left
        weights.append(values)
    return weights


def _zeroed(layer: Any, channels: LayerChannels, stays: npt.NDArray[np.bool_]) -> list[Array]:
    weights = []
    for variable, values in zip(layer.weights, layer.get_weights(), strict=True):
        zeroed = values.copy()
        for axis, keep in _keeps(layer, variable, values, channels, stays).items():
            if variable.name != "moving_variance":
                np.moveaxis(zeroed, axis, 0)[~keep] = 0
        weights.append(zeroed)
    return weights


def _keeps(
    layer: Any, variable: Any, values: Array, channels: LayerChannels, stays: npt.NDArray[np.bool_]
) -> dict[int, npt.NDArray[np.bool_]]:
    """For each axis of a weight that counts channels, which of its places stay."""
    axes = WEIGHT_AXES[kind_of(layer)][variable.name]
    keep = {
        "in": stays[channels.inputs],
        "out": stays[channels.outputs],
        "between": np.repeat(stays[channels.inputs], getattr(layer, "depth_multiplier", 1)),
    }
    # PReLU shares its slope along an axis by giving it the length of one.
    return {axis: keep[side] for axis, side in axes.items() if values.shape[axis] == len(keep[side])}
