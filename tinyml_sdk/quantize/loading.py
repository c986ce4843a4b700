"""Runs in the worker: a Keras file or SavedModel, checked, as a function with a batch of one.

A dynamic batch would put SHAPE, STRIDED_SLICE and PACK into the graph, and what converts to int8 badly is refused
here, by name, before any work is done.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .job import Granularity
from .keras_weights import give_weights
from .recurrent import HINT as RECURRENT_HINT
from .recurrent import check_recurrent, use_twins
from .trained import TrainedRange, range_layers, trained_ranges, without_ranges

__all__ = ["FloatModel", "InputSpec", "check_keras", "load_model", "read_keras"]

Array = npt.NDArray[Any]

EXPORT_HINT = "rebuild it with the functional API, or write a SavedModel with model.export('folder') and quantize that"

# Keras 2 wrote `groups: 1` for these, and Keras 3 does not know the argument.
_LEGACY_LAYERS = (
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Conv1DTranspose",
    "Conv2DTranspose",
)


@dataclass(frozen=True)
class InputSpec:
    """One input: its name and its shape, the batch of one included."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FloatModel:
    """A model ready to convert.

    Attributes:
        inputs: In the model's order.
        parameters: Number of weights, trained or not.
        outputs: Name of the layer that makes each output; none where the file does not tell.
        scopes: Filled by tracing: which layer made the tensors below a path.
        lstms: Filled by tracing: the LSTM layers, in the order in which they are called.
        predict: The float model on a batch: arrays (N, …) in the order of `inputs` to its first output, (N, …).
        converter: Makes a fresh `tf.lite.TFLiteConverter` for a batch of one.
        trained: The ranges from quantization-aware training: given samples, for each input (N, …).
        granularity: How the weights were rounded in that training; None for a model that had none.
        int4_layers: Those whose weights were rounded to four bits; None likewise.
    """

    inputs: tuple[InputSpec, ...]
    parameters: int
    outputs: tuple[str, ...]
    scopes: dict[str, str]
    lstms: list[str]
    predict: Callable[[list[Array]], Array]
    converter: Callable[[], Any]
    trained: Callable[[list[Array]], list[TrainedRange]] = lambda samples: []
    granularity: Granularity | None = None
    int4_layers: frozenset[str] | None = None


def load_model(path: Path, name: str) -> FloatModel:
    """Read a model and check that it can be quantized.

    Args:
        path: A .keras or .h5 file (Keras 2's too) or a SavedModel folder.
        name: What errors call it.

    Raises:
        InputError: the model cannot be read, is of a kind that does not convert, or has weights that are not finite.
    """
    if path.is_dir():
        return _load_saved_model(path, name)
    return _from_keras(read_keras(path, name), name)


# -- Keras --------------------------------------------------------------------------------------------------------


def read_keras(path: Path, name: str) -> Any:
    """The Keras model of a .keras or .h5 file, Keras 2's too. Raises InputError where it cannot be read."""
    import keras

    from . import activation_range  # noqa: F401, makes the layer known

    try:
        return keras.models.load_model(path, custom_objects=_legacy_layers(), compile=False)
    except Exception as error:  # Keras documents none of what it raises for damaged, foreign and unknown contents
        raise _not_loaded(" ".join(str(error).split()), name) from error


def _not_loaded(said: str, name: str) -> InputError:
    """Keras answers with pages of configuration; most often one of a few things is the matter."""
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown layer:) '?(\w+)", said)
    if unknown:
        message, hint = f"has a layer {unknown[1]!r} that is not Keras's own", EXPORT_HINT
    elif "lambda" in said.lower():
        message, hint = "has a Lambda layer, whose code is not run from a file", EXPORT_HINT
    elif "No model config" in said:
        message, hint = "holds weights only", "save the whole model with model.save('model.keras')"
    else:
        message, hint = f"cannot be loaded: {said[:200]}", "save the whole model with model.save('model.keras')"
    return InputError(message, where=name, hint=hint)


def _legacy_layers() -> dict[str, Any]:
    """Keras 2's spelling of layers, for `custom_objects`: same layers, without the argument that says nothing."""
    import keras

    def reader(layer: Any) -> Any:
        def from_config(cls: Any, config: dict[str, Any]) -> Any:
            config = dict(config)
            if config.get("groups") == 1:
                del config["groups"]
            return layer.from_config.__func__(layer, config)

        return type(layer.__name__, (layer,), {"from_config": classmethod(from_config)})

    return {name: reader(getattr(keras.layers, name)) for name in _LEGACY_LAYERS}


def check_keras(model: Any, name: str) -> tuple[InputSpec, ...]:
    """Can a Keras model be followed layer by layer, and made int8?

    Returns:
        Its inputs.

    Raises:
        InputError: it is subclassed, has layers that do not convert, inputs of open shape, weights that are not finite.
    """
    import keras
    from keras.src.models.functional import Functional

    if not isinstance(model, (Functional, keras.Sequential)):
        raise InputError("is a subclassed model, whose layers cannot be followed", where=name, hint=EXPORT_HINT)
    check_recurrent(list(_all_layers(model)), name)
    try:
        tensors = list(model.inputs)
    except (AttributeError, ValueError):
        tensors = []
    if not tensors:
        raise InputError("has no input shape", where=name, hint="start the model with keras.Input(shape)")
    inputs = tuple(_spec(tensor.name, tuple(tensor.shape), str(tensor.dtype), name) for tensor in tensors)
    _check_weights(((weight.path, np.asarray(weight)) for weight in model.weights), name)
    return inputs


def _from_keras(model: Any, name: str) -> FloatModel:
    inputs = check_keras(model, name)
    scopes: dict[str, str] = {}
    lstms: list[str] = []

    def converter() -> Any:
        single = _with_batch_of_one(model, inputs)
        lstms[:] = []
        has_twins = use_twins(_all_layers(single), lstms)
        _note_scopes(single, scopes)
        make = _traced if has_twins else _frozen
        return make(lambda *tensors: single(_packed(model, tensors), training=False), inputs)

    def predict(arrays: list[Array]) -> Array:
        return _first_output(model(_packed(model, arrays), training=False))

    def trained(samples: list[Array]) -> list[TrainedRange]:
        rows = [_packed(model, [array[row : row + 1] for array in samples]) for row in range(len(samples[0]))]
        return trained_ranges(model, _with_batch_of_one(model, inputs), rows, name) if ranges else []

    ranges = range_layers(model, name)
    granularity = ranges[0].granularity if ranges else None
    int4_layers = frozenset(map(_traceable, ranges[0].int4_layers)) if ranges else None
    outputs = tuple(_maker(tensor) for tensor in model.outputs)
    parameters = int(model.count_params())
    return FloatModel(inputs, parameters, outputs, scopes, lstms, predict, converter, trained, granularity, int4_layers)


def _maker(tensor: Any) -> str:
    """The layer that makes a tensor, not counting the range it was trained to have."""
    from .activation_range import ActivationRange

    layer = tensor._keras_history.operation
    while isinstance(layer, ActivationRange):
        layer = layer._inbound_nodes[0].input_tensors[0]._keras_history.operation
    return str(layer.name)


def _note_scopes(model: Any, scopes: dict[str, str]) -> None:
    """Have each layer note, when it is called, the path that TensorFlow gives its tensors: it adds numbers to names."""
    import tensorflow as tf

    def noting(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def noted(*args: Any, **kwargs: Any) -> Any:
            scopes[tf.get_current_name_scope()] = layer.name
            return call(*args, **kwargs)

        return noted

    leaves = [layer for layer in _all_layers(model) if not hasattr(layer, "layers")]
    for layer in leaves:
        layer.call = noting(layer, layer.call)


def _all_layers(model: Any) -> Iterator[Any]:
    """The layers, and those of models used as layers and inside wrappers."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)
        elif hasattr(layer, "layer"):
            yield layer.layer


def _with_batch_of_one(model: Any, inputs: tuple[InputSpec, ...]) -> Any:
    import keras

    from .upsampling import resizing

    def copied(layer: Any) -> Any:
        return resizing(without_ranges(layer))

    fixed = [keras.Input(batch_shape=spec.shape, name=spec.name) for spec in inputs]
    clone = keras.models.clone_model(model, input_tensors=_packed(model, fixed), clone_function=copied)
    give_weights(clone, model.get_weights())
    for named in (clone, *_all_layers(clone)):
        named.name = _traceable(named.name)
    if not clone.name[:1].isalnum():
        clone.name = f"m{clone.name}"
    return clone


def _traceable(name: str) -> str:
    """Keras allows any name, and TensorFlow refuses to trace those with spaces."""
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", name)


def _packed(model: Any, values: Sequence[Any]) -> Any:
    """One value for each input in the structure that the model was built with: alone, a list, or a dictionary."""
    import keras

    if isinstance(model, keras.Sequential):
        return values[0]
    return keras.tree.pack_sequence_as(model.input, list(values))


# -- SavedModel ---------------------------------------------------------------------------------------------------


def _load_saved_model(path: Path, name: str) -> FloatModel:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(os.fspath(path))
        signature = loaded.signatures["serving_default"]
    except KeyError as error:
        raise InputError(
            "has no signature 'serving_default'", where=name, hint="write it with Keras's model.export('folder')"
        ) from error
    except Exception as error:  # as above: a dozen kinds for damaged files
        message = " ".join(str(error).split())
        raise InputError(
            f"cannot be loaded as a SavedModel: {message[:300]}",
            where=name,
            hint="the folder must hold saved_model.pb and variables/, as model.export('folder') writes them",
        ) from error
    specs = signature.structured_input_signature[1]
    names = list(specs)
    inputs = tuple(_spec(key, tuple(specs[key].shape.as_list()), specs[key].dtype.name, name) for key in names)
    _refuse_loops(signature, name)
    # Those that the signature reads; a training checkpoint may hold more.
    variables = list(signature.variables)
    _check_weights(((variable.name, variable.numpy()) for variable in variables), name)
    parameters = sum(int(np.prod(variable.shape)) for variable in variables)

    def call(*tensors: Any) -> list[Any]:
        assert loaded is not None  # holds the variables, which the signature does not
        return list(signature(**dict(zip(names, tensors, strict=True))).values())

    def predict(arrays: list[Array]) -> Array:
        return _first_output(call(*(tf.constant(array) for array in arrays)))

    return FloatModel(inputs, parameters, (), {}, [], predict, lambda: _frozen(call, inputs))


def _refuse_loops(signature: Any, name: str) -> None:
    """Recurrent layers are loops here; no other layer of Keras is."""
    definition = signature.graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    for node in nodes:
        if node.op in ("While", "StatelessWhile"):
            raise InputError(
                "is a loop, as recurrent layers have, which TensorFlow's converter breaks in int8",
                where=f"{name}: {node.name}",
                hint=f"quantize the .keras file; {RECURRENT_HINT}",
            )


# -- both ---------------------------------------------------------------------------------------------------------


def _frozen(call: Callable[..., Any], inputs: tuple[InputSpec, ...]) -> Any:
    """A converter for a function of tensors, its variables made constants. Inputs keep their order and names."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    fixed = [tf.TensorSpec(spec.shape, tf.float32, name=spec.name) for spec in inputs]
    function = tf.function(call).get_concrete_function(*fixed)
    return tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(function)])


def _traced(call: Callable[..., Any], inputs: tuple[InputSpec, ...]) -> Any:
    """The same with its variables and functions kept, by which the converter recognises an LSTM."""
    import tensorflow as tf

    # This way leads through a SavedModel, which sorts the inputs by name.
    names = (
        [spec.name for spec in inputs] if len(inputs) == 1 else [f"input_{place:02}" for place in range(len(inputs))]
    )
    fixed = [tf.TensorSpec(spec.shape, tf.float32, name=key) for spec, key in zip(inputs, names, strict=True)]
    function = tf.function(call).get_concrete_function(*fixed)
    owner = tf.Module()
    owner.kept = function.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function], owner)


def _spec(key: str, shape: tuple[int | None, ...], dtype: str, name: str) -> InputSpec:
    where = f"{name}: input {key!r}"
    if dtype != "float32":
        raise InputError(
            f"is {dtype}, not float32", where=where, hint="give the model float32 inputs, without Embedding"
        )
    inner = shape[1:]
    known = tuple(size for size in inner if size is not None)
    if len(known) != len(inner) or shape[0] not in (None, 1):
        raise InputError(
            f"has shape {shape}: only the batch may be open",
            where=where,
            hint="rebuild the model with a fixed input shape, keras.Input((height, width, channels))",
        )
    return InputSpec(key, (1, *known))


def _check_weights(weights: Iterator[tuple[str, Array]], name: str) -> None:
    for key, values in weights:
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise InputError(
                "has weights that are NaN or infinite",
                where=f"{name}: {key}",
                hint="training diverged: train again with a lower learning rate, or take an earlier checkpoint",
            )


def _first_output(result: Any) -> Array:
    while isinstance(result, (list, tuple, dict)):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return np.asarray(result)
