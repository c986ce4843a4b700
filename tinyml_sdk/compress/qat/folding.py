"""Batch norms, and other products and sums with constants, merged into the layers beside them.

At inference all of them are linear, and the converter merges them too. What it would merge must be gone before
training: int8 stores nothing between two operators that became one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..filters.flow import kind_of
from ..replay import Call, copy_layer
from .affine import Affine, affine_of
from .rewriting import Copies, calls_of, consumers_of, flat, is_input, rebuild, take_weights

__all__ = ["fold_affine"]

Array = npt.NDArray[Any]

_OUTPUT_LAST = frozenset({"Conv1D", "Conv2D", "Conv3D", "Dense", "SeparableConv1D", "SeparableConv2D"})
_DEPTHWISE = frozenset({"DepthwiseConv1D", "DepthwiseConv2D"})
_TRANSPOSED = frozenset({"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"})
_FOLDABLE = _OUTPUT_LAST | _DEPTHWISE | _TRANSPOSED


def fold_affine(model: Any) -> Any:
    """Merge each batch norm, `Rescaling` or constant of a sum or product into a convolution or dense layer beside it.

    One before it, if it has no activation and feeds nothing else; or else all that follow it, where nothing is padded
    by zeros that would have to become other values. It stays where there is no such layer, where either is used several
    times, or where it does not work on the channels.

    Args:
        model: A functional or sequential Keras model with channels last. It is not changed.

    Returns:
        A functional model of the same outputs at inference, but for float rounding; without models used as layers.
        Layers keep their names, and those that took in a sum have a bias.

    Raises:
        InputError: a subclassed model, or one without input shape.
    """
    folded = _folded(flat(model), _Folds())
    while (folds := _find(folded)).gone:
        folded = _folded(folded, folds)
    return folded


@dataclass
class _Folds:
    """What merges into what, each layer with one other.

    Attributes:
        gone: Calls that disappear, by the `id` of their outputs.
        behind, before: For layers by name what follows them, or goes before them.
    """

    gone: set[int] = field(default_factory=set)
    behind: dict[str, Affine] = field(default_factory=dict)
    before: dict[str, Affine] = field(default_factory=dict)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({*self.behind, *self.before})


def _find(model: Any) -> _Folds:
    calls, consumers = calls_of(model), consumers_of(model)
    uses = Counter(id(call.layer) for call in calls)
    makers = {id(tensor): call for call in calls for tensor in call.outputs}
    readers: dict[int, list[Call]] = {}
    for call in calls:
        for tensor in call.inputs:
            readers.setdefault(id(tensor), []).append(call)
    folds = _Folds()

    def is_free(call: Call) -> bool:
        kind = kind_of(call.layer)
        return kind in _FOLDABLE and uses[id(call.layer)] == 1 and call.layer.name not in folds.layers

    for call in calls:
        affine = affine_of(call) if uses[id(call.layer)] == 1 else None
        if affine is None or id(call.inputs[0]) in folds.gone:
            continue
        output = id(call.outputs[0])
        maker, following = makers[id(call.inputs[0])], readers.get(output, [])
        if is_free(maker) and consumers[id(call.inputs[0])] == 1 and _is_linear(maker.layer):
            folds.behind[maker.layer.name] = affine
        elif following and consumers[output] == len(following) and all(map(is_free, following)):
            if not all(_takes(reader.layer, affine) for reader in following):
                continue
            folds.before |= {reader.layer.name: affine for reader in following}
        else:
            continue
        folds.gone.add(output)
    return folds


def _is_linear(layer: Any) -> bool:
    return getattr(layer.activation, "__name__", "") == "linear"  # a layer given as one has no name


def _takes(layer: Any, affine: Affine) -> bool:
    """Whether a layer can compute with its input as it was before: padded zeros must still be zero."""
    if getattr(layer, "groups", 1) != 1 and not affine.is_uniform:
        return False  # a kernel has the channels of one group only
    pads = kind_of(layer) in _TRANSPOSED or getattr(layer, "padding", "valid") != "valid"
    return affine.is_product or not pads or _is_pointwise(layer)


def _is_pointwise(layer: Any) -> bool:
    return kind_of(layer) not in _TRANSPOSED and all(size == 1 for size in layer.kernel_size)


def _folded(model: Any, folds: _Folds) -> Any:
    copies = Copies()

    def apply(call: Call, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if is_input(call) or id(call.outputs[0]) in folds.gone:
            return next(value for value in (*arguments, *keywords.values()) if hasattr(value, "shape"))
        if call.layer.name in folds.layers:
            return copy_layer(call.layer, call.layer.name, use_bias=True)(*arguments, **keywords)
        return copies.of(call.layer)(*arguments, **keywords)

    folded = rebuild(model, apply)
    take_weights(folded, model, but=folds.layers)
    for name in folds.layers:
        layer = model.get_layer(name)
        weights = _with_bias(layer, folded.get_layer(name))
        if name in folds.behind:
            weights = _followed(kind_of(layer), weights, folds.behind[name])
        else:
            weights = _preceded(layer, weights, folds.before[name])
        folded.get_layer(name).set_weights([np.asarray(array, np.float32) for array in weights])
    return folded


def _with_bias(layer: Any, new: Any) -> list[Array]:
    """Kernels and bias, in float64; a bias of zeros where there is none."""
    weights = [np.asarray(array, np.float64) for array in layer.get_weights()]
    return weights if layer.use_bias else [*weights, np.zeros(new.bias.shape)]


def _followed(kind: str, weights: list[Array], affine: Affine) -> list[Array]:
    *kernels, bias = weights
    shape: tuple[int, ...] = (-1,)
    if kind in _DEPTHWISE:
        shape = kernels[-1].shape[-2:]  # channels, multiplier
    elif kind in _TRANSPOSED:
        shape = (-1, 1)  # the output is the last but one
    kernels[-1] = kernels[-1] * affine.factor.reshape(shape)
    return [*kernels, bias * affine.factor + affine.offset]


def _preceded(layer: Any, weights: list[Array], affine: Affine) -> list[Array]:
    *kernels, bias = weights
    first = kernels[0]
    if kind_of(layer) in _TRANSPOSED:  # (…, outputs, inputs)
        return [first * affine.factor, bias]
    inputs = first.shape[-2]  # of one group
    factor, offset = affine.factor[:inputs, None], affine.offset[:inputs, None]
    added = (first * offset).reshape(-1, *first.shape[-2:]).sum(axis=0)  # (inputs, outputs or multiplier)
    if len(kernels) == 2:  # separable
        bias = bias + added.ravel() @ kernels[1].reshape(added.size, -1)
    else:
        bias = bias + (added.ravel() if kind_of(layer) in _DEPTHWISE else added.sum(axis=0))
    return [first * factor, *kernels[1:], bias]
