"""The kernels of a Keras model by layer name: which there are, which are meant, and their values.

A layer inside a model that is used as a layer goes by its path, `encoder/conv_1`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..quantize.keras_weights import give_weights

__all__ = ["Kernel", "cloned", "known_layer", "layer_kernels", "selected_kernels", "uncompiled"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Kernel:
    """The multiplied weights of a layer: of a separable convolution the pointwise ones.

    Attributes:
        layer: Name, or path in nested models.
        variable: The Keras variable.
        depthwise: Each output channel reads a single input channel.
        transposed: A transposed convolution, which has its output channels before its input channels.
    """

    layer: str
    variable: Any
    depthwise: bool = False
    transposed: bool = False

    def read(self) -> Array:
        """A copy of the values, (…, inputs, outputs): as Keras has them, but for transposed convolutions.

        Raises:
            InputError: some are NaN or infinite.
        """
        values: Array = self.variable.numpy()
        if not np.isfinite(values).all():
            raise InputError(
                "has weights that are NaN or infinite",
                where=f"layer {self.layer!r}",
                hint="training diverged: train again with a lower learning rate, or take an earlier checkpoint",
            )
        return self.turned(values)

    def write(self, values: Array) -> None:
        """Set the values, in the order of `read`."""
        self.variable.assign(self.turned(values))

    def turned(self, values: Array) -> Array:
        """From Keras's order to that of `read`, and back."""
        return values.swapaxes(-1, -2) if self.transposed else values


def layer_kernels(model: Any) -> dict[str, Kernel]:
    """Every kernel of dense and convolutional layers, wrapped (`TimeDistributed`) and nested ones too, in model order.

    Recurrent, attention and embedding layers are not among them.
    """
    kernels: dict[str, Kernel] = {}
    seen: set[int] = set()
    for name, layer in _leaves(model, ""):
        kernel = _kernel(name, layer)
        if kernel is not None and id(kernel.variable) not in seen:
            seen.add(id(kernel.variable))
            kernels[name] = kernel
    return kernels


def _leaves(model: Any, path: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        name = path + layer.name
        if hasattr(layer, "layers"):
            yield from _leaves(layer, f"{name}/")
        else:
            yield name, getattr(layer, "layer", layer)


def _kernel(name: str, layer: Any) -> Kernel | None:
    from keras import layers

    if not layer.built:
        return None
    if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
        return Kernel(name, layer.kernel, depthwise=True)
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        return Kernel(name, layer.pointwise_kernel)
    if isinstance(layer, (layers.Conv1DTranspose, layers.Conv2DTranspose)):
        return Kernel(name, layer.kernel, transposed=True)
    if isinstance(layer, (layers.Dense, layers.Conv1D, layers.Conv2D)):
        return Kernel(name, layer.kernel)
    return None


def selected_kernels(
    model: Any, layers: Collection[str] | None, where: str, named: Collection[str] = ()
) -> dict[str, Kernel]:
    """The kernels of some layers, in model order.

    Args:
        model: A built Keras model.
        layers: Names; None for all but depthwise layers, whose few weights do much.
        where: What is being done, for errors.
        named: Layers that are meant as well, as the user gave them settings of their own.

    Raises:
        InputError: the model is not built, a name is unknown, or there is no such layer at all.
    """
    if not model.built:
        raise InputError(
            "the model has no weights yet",
            where=where,
            hint="start it with keras.Input(shape), or load trained weights",
        )
    kernels = layer_kernels(model)
    for name in (*(layers or ()), *named):
        known_layer(name, kernels, where)
    wanted = {name for name, kernel in kernels.items() if not kernel.depthwise} if layers is None else set(layers)
    wanted |= set(named)
    if not wanted:
        raise InputError(
            "the model has no dense or convolutional layer to work on",
            where=where,
            hint="leave this stage out, or name depthwise layers in `layers`",
        )
    return {name: kernel for name, kernel in kernels.items() if name in wanted}


def known_layer(name: str, known: Collection[str], where: str) -> None:
    """Raise an InputError, with the nearest names, for a layer that is not among those known."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3)
    listed = near or sorted(known)[:8]
    raise InputError(
        f"there is no dense or convolutional layer {name!r}",
        where=where,
        hint=("did you mean " if near else "there are ") + ", ".join(map(repr, listed)) if listed else "leave it out",
    )


def cloned(model: Any) -> Any:
    """A copy of a model with weights of its own, not compiled."""
    import keras

    with uncompiled(model):
        copy = keras.models.clone_model(model)
    give_weights(copy, model.get_weights())
    return copy


@contextmanager
def uncompiled(model: Any) -> Iterator[None]:
    """Within the block Keras copies a model without its loss and optimizer, of which it can copy none but its own."""
    compiled = model.compiled
    model.compiled = False
    try:
        yield
    finally:
        model.compiled = compiled
