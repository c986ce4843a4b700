"""A model made anew by doing the calls of its graph again, some of them differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ...quantize.keras_weights import give_weights
from ..filters.channels import checked
from ..replay import Call, calls, copy_layer, flattened

__all__ = ["Copies", "calls_of", "consumers_of", "flat", "is_input", "rebuild", "take_weights"]

Apply = Callable[[Call, tuple[Any, ...], dict[str, Any]], Any]


def flat(model: Any) -> Any:
    """The model, or one without models used as layers. Raises InputError for one without a graph."""
    return flattened(checked(model))


def calls_of(model: Any) -> list[Call]:
    """The calls of a flat model, each behind those it depends on. Its inputs are calls too, without inputs."""
    inputs = [Call(tensor._keras_history.operation, (), (tensor,), ((), {})) for tensor in model.inputs]
    return [*inputs, *calls(model)]


def is_input(call: Call) -> bool:
    """Whether a call is one of the model's inputs."""
    return not call.inputs


def consumers_of(model: Any) -> Counter[int]:
    """How many calls read a tensor, by its `id`; being an output of the model counts as one."""
    read = [tensor for call in calls_of(model) for tensor in call.inputs]
    return Counter(id(tensor) for tensor in (*read, *model.outputs))


class Copies:
    """Copies each layer once, so that one used several times stays one layer."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def of(self, layer: Any) -> Any:
        """The copy of a layer."""
        if id(layer) not in self._copies:
            self._copies[id(layer)] = copy_layer(layer, layer.name)
        return self._copies[id(layer)]


def rebuild(model: Any, apply: Apply) -> Any:
    """A new functional model of the same name, inputs and structure of inputs and outputs.

    Args:
        model: Flat; it is not changed.
        apply: Makes a call again: given the call, its arguments and keyword arguments with the new tensors in place of
            the old, it answers with the new output. For an input the only argument is the new input itself.
    """
    import keras

    tensors = {
        id(old): keras.Input(batch_shape=old.shape, dtype=old.dtype, name=old._keras_history.operation.name)
        for old in model.inputs
    }
    inputs = dict(tensors)
    for call in calls_of(model):
        arguments, keywords = keras.tree.map_structure(lambda value: tensors.get(id(value), value), call.arguments)
        made = apply(call, (inputs[id(call.outputs[0])],) if is_input(call) else arguments, keywords)
        tensors.update((id(old), new) for old, new in zip(call.outputs, keras.tree.flatten(made), strict=True))

    sequential = isinstance(model, keras.Sequential)
    old_inputs, old_outputs = (model.inputs[0], model.outputs[0]) if sequential else (model.input, model.output)
    new_inputs = keras.tree.map_structure(lambda tensor: inputs[id(tensor)], old_inputs)
    new_outputs = keras.tree.map_structure(lambda tensor: tensors[id(tensor)], old_outputs)
    return keras.Model(new_inputs, new_outputs, name=model.name)


def take_weights(model: Any, source: Any, *, but: frozenset[str] = frozenset()) -> None:
    """Give the layers of `model` the weights that those of the same names have in `source`, except the layers `but`."""
    known = {layer.name: layer for layer in source.layers}
    for layer in model.layers:
        if layer.weights and layer.name in known and layer.name not in but:
            give_weights(layer, known[layer.name].get_weights())
