"""A Keras model's graph: its calls in order, and the same graph built anew from other layers.

Models used as layers are dissolved on the way, as their channels reach across the border.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from ..quantize.keras_weights import give_weights

__all__ = ["Call", "calls", "copy_layer", "flattened", "is_graph", "replay"]

Layer = Any  # a Keras layer, or one of the operations that `x + y` and keras.ops leave in a graph
Tensor = Any  # a symbolic Keras tensor


@dataclass(frozen=True)
class Call:
    """One call of a layer in a model's graph; a shared layer has several.

    Attributes:
        inputs: All tensors among its arguments, in order.
        outputs: In order; mostly one.
        arguments: What it was called with, tensors included: (args, kwargs).
    """

    layer: Layer
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]


def calls(model: Any) -> Iterator[Call]:
    """The calls in an order in which they can be computed, the input layers' left out."""
    for node in _nodes(model):
        arguments = (tuple(node.arguments.args), dict(node.arguments.kwargs))
        yield Call(node.operation, tuple(node.input_tensors), tuple(node.outputs), arguments)


def flattened(model: Any) -> Any:
    """The model itself, or, where models are used as layers, one of plain layers that computes the same.

    A layer of an inner model keeps its name unless another has it: then the inner model's name goes in front. The same
    model always gets the same names. What the inner model was called with (`training=False`) goes to its layers.
    """
    if not any(is_graph(call.layer) for call in calls(model)):
        return model
    flat, pairs = replay(model, copy_layer)
    for old, new in pairs:
        if getattr(old, "weights", None):
            give_weights(new, old.get_weights())
    return flat


def copy_layer(layer: Layer, name: str, **changes: Any) -> Layer:
    """A layer of the same class and configuration but for `changes`, without its weights.

    Raises:
        InputError: Keras cannot make it again from its configuration, as of a function that it does not know.
    """
    from keras.src.saving.serialization_lib import SafeModeScope

    # The configuration comes from memory: a lambda in it is the user's own code, not a file's.
    with SafeModeScope(safe_mode=False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        try:
            return type(layer).from_config(layer.get_config() | {"name": name} | changes)
        except Exception as error:  # a user's layer may raise anything
            raise InputError(
                f"cannot be made again from its configuration: {' '.join(str(error).split())[-200:]}",
                where=f"layer {layer.name!r} ({type(layer).__name__})",
                hint="use Keras's own functions, or give the layer get_config and register what is yours with "
                "keras.saving.register_keras_serializable",
            ) from error


def replay(model: Any, make: Callable[[Layer, str], Layer]) -> tuple[Any, list[tuple[Layer, Layer]]]:
    """Build a model of the same graph, inputs, outputs and name, uncompiled.

    Args:
        model: Functional or Sequential.
        make: Called once for each layer with the layer and the new one's name, which must not already be in use.

    Returns:
        The new model, Sequential if the model given was and has no inner models, and (given, new) of each layer.
    """
    import keras

    graph = _graph(model)
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=_input_name(tensor)), graph.input
    )
    builder = _Builder(make, names={call.layer.name for call in calls(model)})
    if isinstance(model, keras.Sequential) and not any(is_graph(layer) for layer in model.layers):
        layers = [builder.layer(layer, "") for layer in model.layers]
        return keras.Sequential([inputs, *layers], name=model.name), builder.pairs
    outputs = builder.run(model, keras.tree.flatten(inputs), "", None)
    return keras.Model(inputs, keras.tree.pack_sequence_as(graph.output, outputs), name=model.name), builder.pairs


@dataclass
class _Builder:
    """Runs graphs on new tensors, making each layer when it is first called. `names` are those taken."""

    make: Callable[[Layer, str], Layer]
    pairs: list[tuple[Layer, Layer]] = field(default_factory=list)
    made: dict[int, Layer] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def layer(self, layer: Layer, prefix: str) -> Layer:
        if id(layer) not in self.made:
            self.made[id(layer)] = self.make(layer, self._free_name(layer.name, prefix))
            self.pairs.append((layer, self.made[id(layer)]))
        return self.made[id(layer)]

    def run(self, model: Any, inputs: list[Tensor], prefix: str, training: bool | None) -> list[Tensor]:
        import keras

        known = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
        for node in _nodes(model):
            args, kwargs = node.arguments.fill_in(known)
            inner = node.operation
            if is_graph(inner):
                asked = kwargs.get("training", training)
                given = keras.tree.flatten(args[0] if args else kwargs["inputs"])
                outputs = self.run(inner, given, f"{prefix}{inner.name}_", asked)
            else:
                if training is not None and getattr(inner, "_call_has_training_arg", False):
                    kwargs = {"training": training} | kwargs
                outputs = keras.tree.flatten(self.layer(inner, prefix)(*args, **kwargs))
            known |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
        return [known[id(tensor)] for tensor in model.outputs]

    def _free_name(self, name: str, prefix: str) -> str:
        if not prefix:
            return name
        name = name if name not in self.names else f"{prefix}{name}"
        number, free = 1, name
        while free in self.names:
            free, number = f"{name}_{number}", number + 1
        self.names.add(free)
        return free


def is_graph(layer: Layer) -> bool:
    """Whether it is a functional or Sequential model that does what its graph says: its `call` is Keras's own."""
    import keras
    from keras.src.models.functional import Functional

    return isinstance(layer, (Functional, keras.Sequential)) and type(layer).call.__module__.startswith("keras.")


def _graph(model: Any) -> Any:
    """The functional model that holds the graph, which a Sequential model has inside."""
    return getattr(model, "_functional", model)


def _nodes(model: Any) -> Iterator[Any]:
    graph = _graph(model)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def _input_name(tensor: Tensor) -> str:
    return str(tensor._keras_history.operation.name)
