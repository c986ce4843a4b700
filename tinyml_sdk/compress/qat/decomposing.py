"""Layers that become several operators taken apart, so that each result that int8 stores is one of the model's own.

The parts are Keras layers of the same effect; the last has the name of what it was a part of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ...errors import InputError
from ..filters.flow import kind_of
from ..replay import Call, copy_layer
from .functions import function_of
from .hard_swish import find_hard_swishes
from .rewriting import Copies, is_input, rebuild, take_weights

__all__ = ["FUSING", "TRANSPOSED", "WITH_KERNEL", "decompose"]

FUSING = frozenset("Conv1D Conv2D Dense DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D".split())
"""Layers with a kernel that apply some activation functions themselves."""

TRANSPOSED = frozenset("Conv1DTranspose Conv2DTranspose".split())
"""Layers with a kernel that apply none."""

WITH_KERNEL = FUSING | TRANSPOSED

FUSED = frozenset({"linear", "relu", "relu6"})

Make: TypeAlias = "Callable[[Any], Any]"


def decompose(model: Any) -> Any:
    """A flat functional model that computes the same.

    An activation function that a layer with a kernel does not apply itself goes behind it, as `NAME_activation`.
    hard_sigmoid becomes its sum, its ReLU6 and its product; silu a sigmoid and a product; a sum of three or more
    tensors one of pairs; an average a sum and a product. hard_silu is one operator, also where it is spelled out.
    """
    import keras

    copies = Copies()
    hard_swishes = find_hard_swishes(model)
    made: dict[int, Any] = {}

    def apply(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        source = hard_swishes.get(id(call.outputs[0]))
        if is_input(call):
            result = arguments[0]
        elif source is not None:
            result = keras.layers.Activation("hard_silu", name=call.layer.name)(made[source])
        else:
            result = _apart(copies, call, arguments, keywords)
        made[id(call.outputs[0])] = result
        return result

    apart = rebuild(model, apply)
    take_weights(apart, model)
    return apart


def _apart(copies: Copies, call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    import keras

    name, kind = call.layer.name, kind_of(call.layer)
    if kind in _PAIRWISE:
        return _in_pairs(kind, arguments[0], name)
    parts = _PARTS.get(function_of(call.layer))
    if parts is not None:
        return parts(arguments[0], name)
    layer = copies.of(call.layer)
    own = _own_function(call.layer)
    if own is None:
        return layer(*arguments, **keywords)
    layer.activation = keras.activations.linear
    values = layer(*arguments, **keywords)
    name = f"{name}_activation"
    if isinstance(own, keras.Layer):
        return copy_layer(own, name)(values)
    parts = _PARTS.get(getattr(own, "__name__", ""))
    return parts(values, name) if parts else keras.layers.Activation(own, name=name)(values)


def _own_function(layer: Any) -> Any:
    """The activation function that a layer with a kernel has and int8 does not apply within it, or None."""
    kind = kind_of(layer)
    if kind not in WITH_KERNEL:
        return None
    if kind_of(layer.activation) == "PReLU":  # whose weights Keras makes only when it is called
        raise InputError(
            f"has a {type(layer.activation).__name__} layer with weights as its activation function",
            where=f"layer {layer.name!r}",
            hint="put that layer behind it",
        )
    within = FUSED if kind in FUSING else frozenset({"linear"})
    return None if getattr(layer.activation, "__name__", "") in within else layer.activation


def _hard_sigmoid(values: Any, name: str) -> Any:
    from keras import layers

    shifted = layers.Rescaling(1.0, offset=3.0, name=f"{name}_shift")(values)
    return layers.Rescaling(1 / 6, name=name)(layers.ReLU(6.0, name=f"{name}_clip")(shifted))


def _silu(values: Any, name: str) -> Any:
    from keras import layers

    return layers.Multiply(name=name)([values, layers.Activation("sigmoid", name=f"{name}_gate")(values)])


_PARTS: dict[str, Callable[[Any, str], Any]] = {"hard_sigmoid": _hard_sigmoid, "silu": _silu}


def _in_pairs(kind: str, tensors: Any, name: str) -> Any:
    """A merging layer of many tensors as a chain of such of two, as TensorFlow Lite has it."""
    from keras import layers

    merge = getattr(layers, "Add" if kind == "Average" else kind)
    count, averages = len(tensors), kind == "Average"
    values = tensors[0]
    for place, other in enumerate(tensors[1:], 1):
        is_last = place == count - 1 and not averages
        values = merge(name=name if is_last else f"{name}_{place}")([values, other])
    return layers.Rescaling(1 / count, name=name)(values) if averages else values


_PAIRWISE = frozenset("Add Average Maximum Minimum Multiply".split())
