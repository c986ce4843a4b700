"""Giving a copied Keras layer its weights, all that follows from them included."""

from __future__ import annotations

from typing import Any

__all__ = ["give_weights"]


def give_weights(target: Any, weights: Any) -> None:
    """`set_weights` of a Keras model or layer, after which a `Normalization` in it computes with those, too.

    Keras makes its mean and deviation of the weights when `adapt` has ended or a file is loaded. A copy that is only
    given weights goes on without, and says nothing.
    """
    import keras

    target.set_weights(weights)
    for layer in target._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
