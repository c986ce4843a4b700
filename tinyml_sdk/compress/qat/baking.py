"""From a model after quantization-aware training to a plain one that quantizes to exactly what was trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError
from ...quantize.job import Granularity
from ..replay import Call
from .rewriting import Copies, is_input, rebuild, take_weights

__all__ = ["bake"]


def bake(training: Any) -> Any:
    """Keras's own layers again, kernels on their int8 or int4 grid, activations' ranges as `ActivationRange` layers.

    Zero weights stay zero. Equal weights stay equal where they share a scale: all of a layer's with granularity
    `per-tensor`, those of one channel otherwise.

    Args:
        training: From `prepare`, trained. It is not changed.

    Returns:
        A functional model. A separable convolution has become two layers, the depthwise one named `NAME_depthwise`.

    Raises:
        InputError: the model is not from `prepare`, or was never trained.
    """
    from ...quantize.activation_range import ActivationRange
    from .training_layers import FixedRange, MovingRange, QuantizedWeights

    granularity, int4_layers = _rounding(training)
    copies = Copies()
    ranges: dict[str, Any] = {}
    kernels: list[tuple[Any, Any]] = []  # a new layer, and the trained one with its weights

    def as_range(name: str, ends: tuple[float, float]) -> Any:
        return ranges.setdefault(name, ActivationRange(*ends, granularity, int4_layers, name=name))

    def apply(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        layer = call.layer
        if is_input(call):
            return arguments[0]
        if isinstance(layer, MovingRange):
            return as_range(layer.name, layer.learnt())(arguments[0], averaged=keywords["averaged"])
        if isinstance(layer, FixedRange):
            return as_range(layer.name, (layer.low, layer.high))(arguments[0])
        if not isinstance(layer, QuantizedWeights):
            return copies.of(layer)(*arguments, **keywords)
        values = arguments[0]
        for plain, source, between in _plain_layers(layer):
            values = plain(values)
            kernels.append((plain, source))
            if between is not None:
                values = as_range(f"{plain.name}_range", between.learnt())(values)
        return values

    baked = rebuild(training, apply)
    take_weights(baked, training, but=frozenset(plain.name for plain, _ in kernels))
    for plain, weights in kernels:
        plain.set_weights([np.asarray(array) for array in weights])
    return baked


def _rounding(training: Any) -> tuple[Granularity, list[str]]:
    """How kernels are rounded: the granularity, and the layers, as they will be called, that have four bits."""
    from .training_layers import QuantizedWeights

    layers = [layer for layer in training.layers if isinstance(layer, QuantizedWeights)]
    if not layers:
        raise InputError(
            "has no layer in quantization-aware training",
            where=str(training.name),
            hint="give bake() the model from prepare(); it needs a convolution or a dense layer",
        )
    return layers[0].granularity, [plain.name for layer in layers if layer.int4 for plain, *_ in _plain_layers(layer)]


def _plain_layers(layer: Any) -> list[tuple[Any, list[Any], Any]]:
    """Keras's layers for a trained one: each with its weights, and the range of its output where that is inside."""
    import keras

    original = layer.original()
    config = {key: value for key, value in layer.get_config().items() if key not in ("granularity", "int4")}
    bias = [layer.bias] if layer.use_bias else []
    if len(layer.kernels) == 1:
        return [(original.from_config(config), [layer.rounded(*layer.kernels), *bias], None)]
    rank = len(layer.kernel_size)
    first, second = (
        (keras.layers.DepthwiseConv1D, keras.layers.Conv1D)
        if rank == 1
        else (keras.layers.DepthwiseConv2D, keras.layers.Conv2D)
    )
    depthwise = first(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        name=f"{layer.name}_depthwise",
    )
    pointwise = second(layer.filters, 1, use_bias=layer.use_bias, activation=layer.activation, name=layer.name)
    return [
        (depthwise, [layer.rounded("depthwise_kernel")], layer.between),
        (pointwise, [layer.rounded("pointwise_kernel"), *bias], None),
    ]
