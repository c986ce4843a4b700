"""Runs in the worker: ranges from quantization-aware training, and the tensors of the converted model they are of.

A model from `tinyml_sdk.compress.qat` holds its ranges in `ActivationRange` layers, and the converter sees the model
without them. Which of its tensors a range belongs to is told by the values that it takes on calibration samples, as
names get lost where layers are fused. A tensor's exact copies (RESHAPE around a 1D convolution) take its range too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .checking import LayerNames, lost_range
from .job import Granularity, Job

__all__ = ["TrainedRange", "assign_ranges", "check_as_trained", "range_layers", "trained_ranges", "without_ranges"]

Array = npt.NDArray[Any]

_TOLERANCE = 1e-3  # of the greatest value: both are float32, summed in another order


@dataclass(frozen=True, eq=False)
class TrainedRange:
    """A learnt range at one place.

    Attributes:
        layer: Name of the `ActivationRange` layer; several places may share it.
        maker: Name of the layer whose output it is.
        low, high: The ends.
        values: That output, float32 (samples, *shape), computed without any rounding of activations.
    """

    layer: str
    maker: str
    low: float
    high: float
    values: Array


def range_layers(model: Any, name: str) -> list[Any]:
    """The `ActivationRange` layers of a Keras model.

    Raises:
        InputError: some are in a model used as a layer, where they cannot be followed.
    """
    from .activation_range import ActivationRange

    nested = [layer for layer in model.layers if hasattr(layer, "layers") and range_layers(layer, name)]
    if nested:
        raise InputError(
            "was trained for int8 and is now used as a layer",
            where=f"{name}: layer {nested[0].name!r}",
            hint="quantize the model as it came from training, or train the whole for int8",
        )
    return [layer for layer in model.layers if isinstance(layer, ActivationRange)]


def without_ranges(layer: Any) -> Any:
    """For `clone_model`: the same layer again; an `ActivationRange` that does nothing."""
    from .activation_range import ActivationRange

    copy = type(layer).from_config(layer.get_config())
    if isinstance(copy, ActivationRange):
        copy.is_open = True
    return copy


def trained_ranges(model: Any, plain: Any, inputs: Sequence[Sequence[Array]], name: str) -> list[TrainedRange]:
    """The ranges of a model, with the values that they are of.

    Args:
        model: A functional or sequential Keras model with `ActivationRange` layers.
        plain: The same model cloned with `without_ranges`, for a batch of one.
        inputs: For each sample its inputs in the structure that `plain` is called with, batch of one included.
        name: For messages.
    """
    import keras

    places = []
    for layer in range_layers(model, name):
        nodes = plain.get_layer(layer.name)._inbound_nodes
        places += [(layer, node.input_tensors[0]) for node in nodes]
    probe = keras.Model(plain.inputs, [tensor for _, tensor in places])
    rows = [[np.asarray(values) for values in keras.tree.flatten(probe(sample, training=False))] for sample in inputs]
    found = []
    for place, (layer, tensor) in enumerate(places):
        values = np.stack([row[place] for row in rows])
        found.append(TrainedRange(layer.name, str(tensor._keras_history.operation.name), layer.low, layer.high, values))
    return found


def check_as_trained(trained: Granularity | None, int4_layers: Collection[str] | None, job: Job) -> None:
    """Raises InputError where a model would be quantized otherwise than it was trained for."""
    if trained is None:
        return
    weights = "int4" if int4_layers else "int8"
    if weights != job.weights:
        raise InputError(
            f"was trained for {weights} weights, not {job.weights}", where=job.name, hint=f"give --weights {weights}"
        )
    if job.min_snr is not None:
        raise InputError(
            "was trained for int4 weights of some layers, which no --min-snr can choose again",
            where=job.name,
            hint="leave --min-snr out",
        )
    if job.activations != "int8":
        raise InputError(
            f"was trained for int8 activations, not {job.activations}",
            where=job.name,
            hint="leave --activations out, or quantize the model as it was before quantization-aware training",
        )
    if trained == job.granularity:
        return
    option = "neither --per-tensor nor --per-tensor-dense" if trained == "per-channel" else f"--{trained}"
    raise InputError(f"was trained for {trained} weights, not {job.granularity}", where=job.name, hint=f"give {option}")


def assign_ranges(
    trained: Sequence[TrainedRange], tensors: Mapping[str, Array], names: LayerNames, model: str
) -> dict[str, list[str]]:
    """The tensors that each range is of.

    Args:
        trained: The ranges with values of some samples.
        tensors: The values of the float .tflite model's activations for the same samples, by tensor name.
        names: Which layers those come from; decides where two ranges claim the same values.
        model: For messages.

    Returns:
        Tensor names by the name of the `ActivationRange` layer.

    Raises:
        ToolError: no tensor has the values of a range, so that it would get lost.
    """
    claims: dict[str, TrainedRange] = {}
    for tensor, values in tensors.items():
        equal = [place for place in trained if _equal(place.values, values)]
        if equal:
            made_here = [place for place in equal if place.maker in names.find_all(tensor)]
            claims[tensor] = (made_here or equal)[0]
    found: dict[str, list[str]] = {place.layer: [] for place in trained}
    for tensor, place in claims.items():
        found[place.layer].append(tensor)
    for layer, members in found.items():
        if not members:
            raise lost_range(f"{model}: layer {layer!r}", "no tensor of the converted model has its values")
    return found


def _equal(one: Array, other: Array) -> bool:
    if one.size != other.size:
        return False
    difference = np.abs(one.ravel() - other.ravel()).max(initial=0.0)
    return bool(difference <= _TOLERANCE * max(np.abs(one).max(initial=0.0), 1e-6))
