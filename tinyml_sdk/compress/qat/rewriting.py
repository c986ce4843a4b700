"""A functional Keras model as a list of calls, and a new model made by doing them again, some of them differently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import InputError

__all__ = ["Call", "calls_of", "consumers_of", "copy_of", "rebuild", "require_functional"]


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer; a layer may be used several times.

    Attributes:
        layer: The layer, or the Keras operation (`x + y`).
        inputs, outputs: Its tensors.
        node: Keras's own record of it.
    """

    layer: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    node: Any

    @property
    def kind(self) -> str:
        """The class of the layer."""
        return type(self.layer).__name__

    @property
    def is_input(self) -> bool:
        """Whether it is one of the model's inputs."""
        return bool(self.node.is_input)


def require_functional(model: Any) -> None:
    """Raises InputError for what is no functional or sequential Keras model of known input shape."""
    import keras
    from keras.src.models.functional import Functional

    name = str(getattr(model, "name", type(model).__name__))
    if not isinstance(model, (Functional, keras.Sequential)):
        raise InputError(
            "is a subclassed model, whose layers cannot be followed",
            where=name,
            hint="rebuild it with the functional API",
        )
    try:
        known = bool(model.inputs)
    except (AttributeError, ValueError):
        known = False
    if not known:
        raise InputError("has no input shape", where=name, hint="start the model with keras.Input(shape)")


def calls_of(model: Any) -> list[Call]:
    """The calls of a functional or sequential model, each after those it depends on."""
    functional = getattr(model, "_functional", None) or model
    by_depth = functional._nodes_by_depth
    return [
        Call(node.operation, tuple(node.input_tensors), tuple(node.output_tensors), node)
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
    ]


def consumers_of(model: Any) -> dict[int, list[Call | None]]:
    """The calls that read a tensor, by its `id`; a None among them for being an output of the model."""
    found: dict[int, list[Call | None]] = {}
    for call in calls_of(model):
        for tensor in call.inputs:
            found.setdefault(id(tensor), []).append(call)
    for tensor in model.outputs:
        found.setdefault(id(tensor), []).append(None)
    return found


def copy_of(layer: Any, **changes: Any) -> Any:
    """A new layer of the same class, name and configuration but for `changes`; without the weights."""
    return type(layer).from_config({**layer.get_config(), **changes})


def rebuild(model: Any, apply: Callable[[Call, tuple[Any, ...], dict[str, Any]], Any]) -> Any:
    """A new functional model of the same name, inputs and structure of inputs and outputs.

    Args:
        model: Functional or sequential; it is not changed.
        apply: Makes a call again: given the call, its arguments and keyword arguments with the new tensors in place of
            the old, it answers with the new outputs in the structure of the old.
    """
    import keras

    tensors: dict[int, Any] = {}
    for call in calls_of(model):
        if call.is_input:
            (old,) = call.outputs
            tensors[id(old)] = keras.Input(batch_shape=old.shape, dtype=old.dtype, name=call.layer.name)
    inputs = dict(tensors)
    for call in calls_of(model):
        if call.is_input:
            made = apply(call, (inputs[id(call.outputs[0])],), {})
        else:
            arguments, keywords = call.node.arguments.fill_in(tensors)
            made = apply(call, arguments, keywords)
        for old, new in zip(call.outputs, keras.tree.flatten(made), strict=True):
            tensors[id(old)] = new
    sequential = isinstance(model, keras.Sequential)
    structures = (model.inputs[0], model.outputs[0]) if sequential else (model.input, model.output)
    new_inputs, new_outputs = (
        keras.tree.map_structure(lambda tensor, known=known: known[id(tensor)], structure)
        for structure, known in zip(structures, (inputs, tensors), strict=True)
    )
    return keras.Model(new_inputs, new_outputs, name=model.name)


def copier() -> Callable[[Any], Any]:
    """A function that copies each layer once, so that a layer used several times stays one layer."""
    copies: dict[int, Any] = {}

    def copied(layer: Any) -> Any:
        if id(layer) not in copies:
            copies[id(layer)] = copy_of(layer)
        return copies[id(layer)]

    return copied


def take_weights(model: Any, source: Any, *, but: frozenset[str] = frozenset()) -> None:
    """Give the layers of `model` the weights that those of the same names have in `source`, except the layers `but`."""
    known = {layer.name: layer for layer in source.layers}
    for layer in weighted(model):
        if layer.name not in but and layer.name in known:
            layer.set_weights(known[layer.name].get_weights())


def weighted(model: Any) -> Iterator[Any]:
    """The layers that have weights."""
    return (layer for layer in model.layers if layer.weights)
