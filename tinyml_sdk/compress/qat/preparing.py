"""From a trained Keras model to one that goes on training with the rounding of int8, or of int4 weights, in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from ...errors import InputError
from ...quantize.job import FIRST, GRANULARITIES, LAST, WEIGHTS, Granularity, Weights
from ..filters.flow import kind_of
from ..replay import Call
from .baking import bake
from .decomposing import FUSING, decompose
from .folding import fold_affine
from .placement import Placement, place
from .rewriting import Copies, calls_of, flat, is_input, rebuild, take_weights

__all__ = ["check_trainable", "prepare", "quantize_aware"]

Array = npt.NDArray[Any]

_BATCH = 64


def prepare(
    model: Any,
    *,
    granularity: Granularity = "per-channel",
    momentum: float = 0.99,
    calibration: Sequence[Array] | None = None,
    weights: Weights = "int8",
    keep_int8: Sequence[str] = (),
) -> Any:
    """A model for quantization-aware training, to be compiled and fitted as any other, and then given to `bake`.

    Batch norms are folded first. Kernels are rounded to int8 with the scale that the converter will find, biases are
    not (they are int32); activations are rounded where int8 stores them, in ranges that training moves. Gradients pass
    straight through the rounding.

    Args:
        model: A functional or sequential Keras model with channels last. It is not changed.
        granularity: How weights are quantized, as for `quantize_model`, which must be given the same.
        momentum: Of the moving mean of activations' least and greatest values, from 0 to below 1.
        calibration: Samples to begin with ranges that fit, float32 (N, *shape without the batch) for each input of
            the model; without any the first batch of training sets the ranges.
        weights: `int4` rounds kernels to four bits, those of dense layers with one scale each.
        keep_int8: Layers whose kernels are rounded to int8 all the same, by name, or `first` and `last`.

    Returns:
        A functional model of the same inputs and outputs. Layers keep their names and kernels their variables.

    Raises:
        InputError: a layer that cannot be trained for int8, by name; a subclassed model; no layer to keep of that name.
    """
    if granularity not in GRANULARITIES:
        raise InputError(
            f"{granularity!r} is no granularity", where="prepare", hint=f"choose one of {', '.join(GRANULARITIES)}"
        )
    if not 0 <= momentum < 1:
        raise InputError(f"a momentum of {momentum:g}", where="prepare", hint="give one from 0 to below 1")
    plain = _plain(model)
    placement = place(plain)
    int4 = _int4_layers(plain, weights, keep_int8)
    training = _with_rounding(plain, placement, granularity, momentum, int4)
    if calibration is not None:
        _calibrate(training, calibration)
    return training


def check_trainable(model: Any) -> None:
    """Raises the InputError that `prepare` would for a model: in time, where other stages come before."""
    place(_plain(model))


def _plain(model: Any) -> Any:
    """The model in the layers that int8 will have, one for each operator."""
    return fold_affine(decompose(flat(model)))


def _calibrate(training: Any, samples: Sequence[Array]) -> None:
    import keras

    from .training_layers import observing

    with observing(training):
        for start in range(0, len(samples[0]), _BATCH):
            batch = [array[start : start + _BATCH] for array in samples]
            training(keras.tree.pack_sequence_as(training.input, batch), training=False)


def quantize_aware(
    model: Any,
    train: Callable[[Any], object],
    *,
    calibration: Sequence[Array] | None = None,
    granularity: Granularity = "per-channel",
    weights: Weights = "int8",
    keep_int8: Sequence[str] = (),
) -> Any:
    """`prepare`, `train` (which compiles and fits the model it is given) and `bake` in one."""
    training = prepare(model, granularity=granularity, calibration=calibration, weights=weights, keep_int8=keep_int8)
    train(training)
    return bake(training)


def _int4_layers(model: Any, weights: Weights, keep_int8: Sequence[str]) -> frozenset[str]:
    """Names of the layers of a model whose kernels get four bits.

    Raises:
        InputError: no such dtype of weights, no such layer to keep, or none is left.
    """
    if weights not in WEIGHTS:
        hint = f"choose one of {', '.join(WEIGHTS)}"
        raise InputError(f"{weights!r} is no dtype of weights", where="prepare", hint=hint)
    if weights == "int8":
        return frozenset()
    names = [call.layer.name for call in calls_of(model) if kind_of(call.layer) in FUSING]
    words = {FIRST: names[:1], LAST: names[-1:]} | {name: [name] for name in names}
    for name in keep_int8:
        if name not in words:
            raise InputError(
                f"there is no layer {name!r} with weights to keep int8",
                where=str(model.name),
                hint=f"there are {', '.join(names)}; {FIRST} and {LAST} stand for the ends",
            )
    kept = {layer for name in keep_int8 for layer in words[name]}
    if names and kept >= set(names):
        hint = "keep fewer layers int8, or train for int8 weights"
        raise InputError("no layer is left for int4 weights", where=str(model.name), hint=hint)
    return frozenset(names) - kept


def _with_rounding(
    model: Any, placement: Placement, granularity: Granularity, momentum: float, int4: frozenset[str]
) -> Any:
    from .training_layers import TRAINED, FixedRange, MovingRange

    copies = Copies()
    layers: dict[str, Any] = {}
    ranges: dict[str, Any] = {}
    outputs = {id(tensor) for tensor in model.outputs}

    def trained(call: Call) -> Any:
        kind = kind_of(call.layer)
        if kind not in TRAINED:
            return copies.of(call.layer)
        rounding = {"granularity": granularity, "int4": call.layer.name in int4}
        layers[call.layer.name] = TRAINED[kind].from_config({**call.layer.get_config(), **rounding})
        return layers[call.layer.name]

    def apply(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        values = arguments[0] if is_input(call) else trained(call)(*arguments, **keywords)
        site = placement.sites.get(id(call.outputs[0]))
        if site is None:
            return values
        if site.fixed:
            last = id(call.outputs[0]) in outputs
            layer = ranges.setdefault(site.group, FixedRange(*site.fixed, after_training=last, name=site.group))
            return layer(values)
        if site.group not in ranges:
            ranges[site.group] = MovingRange(placement.observed[site.group], momentum, name=site.group)
        return ranges[site.group](values, site=site.number, averaged=site.averaged)

    training = rebuild(model, apply)
    for call in calls_of(model):
        if call.layer.name in layers:
            layers[call.layer.name].adopt(call.layer)
    take_weights(training, model, but=frozenset(layers))
    for layer in training.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False  # int8 has one meaning for it: that of inference
    return training
