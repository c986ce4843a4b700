"""Batch norms merged into the layer before them: at inference both are linear, and the converter does the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..filters.flow import kind_of
from ..replay import Call, copy_layer
from .rewriting import Copies, calls_of, consumers_of, flat, is_input, rebuild, take_weights

__all__ = ["fold_batch_norm"]

Array = npt.NDArray[Any]

_OUTPUT_LAST = frozenset({"Conv1D", "Conv2D", "Conv3D", "Dense", "SeparableConv1D", "SeparableConv2D"})
_DEPTHWISE = frozenset({"DepthwiseConv1D", "DepthwiseConv2D"})
_TRANSPOSED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"})
_FOLDABLE = _OUTPUT_LAST | _DEPTHWISE | _TRANSPOSED


def fold_batch_norm(model: Any) -> Any:
    """Merge each batch norm into the convolution or dense layer before it.

    A batch norm stays where it follows something else, where that layer has an activation or feeds other layers too,
    where either is used several times, or where it does not normalize the channels.

    Args:
        model: A functional or sequential Keras model with channels last. It is not changed.

    Returns:
        A functional model of the same outputs at inference, but for float rounding; without models used as layers.
        Layers keep their names, and those that took in a batch norm have a bias.

    Raises:
        InputError: a subclassed model, or one without input shape.
    """
    model = flat(model)
    norms = _foldable(model)
    by_layer = {layer.name: norm for norm, layer in norms.values()}
    copies = Copies()

    def apply(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if is_input(call) or id(call.layer) in norms:
            return arguments[0]
        if call.layer.name in by_layer:
            return copy_layer(call.layer, call.layer.name, use_bias=True)(*arguments, **keywords)
        return copies.of(call.layer)(*arguments, **keywords)

    folded = rebuild(model, apply)
    take_weights(folded, model, but=frozenset(by_layer))
    for name, norm in by_layer.items():
        folded.get_layer(name).set_weights(_merged(model.get_layer(name), norm))
    return folded


def _foldable(model: Any) -> dict[int, tuple[Any, Any]]:
    """The batch norm and the layer that it can be merged into, by `id` of the batch norm."""
    calls, consumers = calls_of(model), consumers_of(model)
    uses = Counter(id(call.layer) for call in calls)
    makers = {id(tensor): call for call in calls for tensor in call.outputs}
    found = {}
    for call in calls:
        if kind_of(call.layer) != "BatchNormalization" or uses[id(call.layer)] > 1:
            continue
        before = makers[id(call.inputs[0])]
        alone = uses[id(before.layer)] == 1 and consumers[id(call.inputs[0])] == 1
        if kind_of(before.layer) in _FOLDABLE and alone and _is_linear(before.layer) and _is_over_channels(call):
            found[id(call.layer)] = (call.layer, before.layer)
    return found


def _is_linear(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "linear") == "linear"


def _is_over_channels(call: Call) -> bool:
    axis = call.layer.axis
    return axis in (-1, len(call.inputs[0].shape) - 1)


def _merged(layer: Any, norm: Any) -> list[Array]:
    """Kernels and bias of both as one, in the order of the layer's `get_weights`.

    y = gamma (W x + b - mean) / sqrt(variance + epsilon) + beta; Jacob et al., "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", 2017 (arXiv:1712.05877), equation 14.
    """
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma, np.float64)
    beta = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    *kernels, bias = layer.get_weights() if layer.use_bias else [*layer.get_weights(), np.zeros_like(mean)]
    kind = kind_of(layer)
    shape: tuple[int, ...] = (-1,)
    if kind in _DEPTHWISE:
        shape = kernels[-1].shape[-2:]  # channels, multiplier
    elif kind in _TRANSPOSED:
        shape = (-1, 1)  # the output is the last but one
    kernels[-1] = kernels[-1] * factor.reshape(shape)
    merged = [*kernels, (bias - mean) * factor + beta]
    return [np.asarray(array, np.float32) for array in merged]
