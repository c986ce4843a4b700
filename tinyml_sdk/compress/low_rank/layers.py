"""Keras layers for the factors of a kernel, and a model with such chains in the place of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...quantize.keras_weights import give_weights
from ..weight_layers import uncompiled
from .factors import MethodName

__all__ = ["Chain", "layer_calls", "with_chains"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Chain:
    """Layers that run one after the other for one: the last has its name, bias and activation.

    Attributes:
        layers: Not built until the model is.
        shapes: Of their kernels.
    """

    layers: tuple[Any, ...]
    shapes: tuple[Shape, ...]

    @classmethod
    def of_layer(cls, layer: Any) -> Chain:
        """The layer itself."""
        return cls((layer,), (tuple(layer.kernel.shape),))

    @classmethod
    def in_place_of(cls, layer: Any, method: MethodName, shapes: Sequence[Shape], taken: Mapping[str, Any]) -> Chain:
        """New layers for a Dense, Conv1D or Conv2D layer.

        Args:
            layer: Its strides, padding and dilation go to the layer that has the window.
            method: Which layers these are.
            shapes: Of the kernels, as the decomposition has them.
            taken: Names that cannot be used again.
        """
        names = [layer.name + ending for ending in ("_reduce", "_core")[: len(shapes) - 1]]
        names = [_free(name, taken) for name in names]
        last = len(shapes) - 1
        steps = [
            _last(layer, shape, index, method) if index == last else _between(layer, shape, index, method, names[index])
            for index, shape in enumerate(shapes)
        ]
        return cls(tuple(steps), tuple(shapes))

    def macs(self, input_shape: tuple[int | None, ...]) -> int | None:
        """Multiply-accumulates for an input (batch, …); None where a size is open."""
        total = 0
        shape = input_shape
        for layer, kernel in zip(self.layers, self.shapes, strict=True):
            shape = tuple(layer.compute_output_shape(shape))
            positions = shape[2:] if getattr(layer, "data_format", "") == "channels_first" else shape[1:-1]
            known = [size for size in positions if size is not None]
            if len(known) < len(positions):
                return None
            total += math.prod(known) * math.prod(kernel)
        return total


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _between(layer: Any, shape: Shape, index: int, method: MethodName, name: str) -> Any:
    """A linear layer without bias."""
    if method == "cp" and index == 1:
        return _depthwise(layer, name)
    config = layer.get_config() | {
        "name": name,
        "use_bias": False,
        "activation": "linear",
        "bias_regularizer": None,
        "activity_regularizer": None,
    }
    return type(layer).from_config(config | _geometry(layer, shape, index, method))


def _last(layer: Any, shape: Shape, index: int, method: MethodName) -> Any:
    return type(layer).from_config(layer.get_config() | _geometry(layer, shape, index, method))


def _geometry(layer: Any, shape: Shape, index: int, method: MethodName) -> dict[str, Any]:
    """Channels, window and how it moves, as the configuration of a layer of the same class."""
    *window, _, outputs = shape
    if not window:
        return {"units": outputs}
    point = [1] * len(window)
    strides, dilation = list(layer.strides), list(layer.dilation_rate)
    if method == "spatial":
        # The column moves along the height, the row along the width; padding goes with each of them.
        strides = [strides[0], 1] if index == 0 else [1, strides[1]]
        dilation = [dilation[0], 1] if index == 0 else [1, dilation[1]]
    elif index != {"svd": 0, "tucker2": 1, "cp": 1}[method]:
        return {"filters": outputs, "kernel_size": point, "strides": point, "dilation_rate": point, "padding": "valid"}
    return {"filters": outputs, "kernel_size": list(window), "strides": strides, "dilation_rate": dilation}


def _depthwise(layer: Any, name: str) -> Any:
    from keras import layers

    kind = layers.DepthwiseConv1D if len(layer.kernel_size) == 1 else layers.DepthwiseConv2D
    return kind(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
        use_bias=False,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
        name=name,
    )


def layer_calls(model: Any) -> dict[str, list[tuple[int | None, ...]]]:
    """The input shapes with which each layer of a model is called: one for each of its places in the graph."""
    graph = getattr(model, "_functional", None) or model  # a Sequential keeps its graph there
    found: dict[str, list[tuple[int | None, ...]]] = {}
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            if node.input_tensors:
                found.setdefault(node.operation.name, []).append(tuple(node.input_tensors[0].shape))
    return found


def with_chains(model: Any, chains: Mapping[str, Chain]) -> Any:
    """A copy of a model with chains in the place of some layers of its own, each of which has one place in the graph.

    The weights of all other layers are copied; those of the chains are new. The copy is not compiled.
    """
    import keras

    def clone(layer: Any) -> Any:
        return chains[layer.name].layers[-1] if layer.name in chains else type(layer).from_config(layer.get_config())

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name not in chains:
            return layer(*args, **kwargs)
        tensor = args[0]
        for step in chains[layer.name].layers:
            tensor = step(tensor)
        return tensor

    if isinstance(model, keras.Sequential):
        (tensor,) = model.inputs
        start = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
        steps = [chains[layer.name].layers if layer.name in chains else (clone(layer),) for layer in model.layers]
        copy = keras.Sequential([start, *(step for chain in steps for step in chain)], name=model.name)
    else:
        with uncompiled(model):
            copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.weights and layer.name not in chains:
            give_weights(copy.get_layer(layer.name), layer.get_weights())
    return copy
