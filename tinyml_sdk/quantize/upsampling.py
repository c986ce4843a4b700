"""Keras's UpSampling layers in a form that becomes RESIZE_NEAREST_NEIGHBOR.

Keras 3 repeats rows and columns, which TensorFlow's converter turns into TILE. TensorFlow Lite Micro does not have that
operator, and each takes a copy of the image. What is computed is the same.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

__all__ = ["resizing"]


class _ResizingUpSampling1D(keras.layers.UpSampling1D):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        _, steps, _ = inputs.shape
        return tf.squeeze(tf.image.resize(tf.expand_dims(inputs, 2), (steps * self.size, 1), "nearest"), 2)


class _ResizingUpSampling2D(keras.layers.UpSampling2D):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        _, height, width, _ = inputs.shape
        return tf.image.resize(inputs, (height * self.size[0], width * self.size[1]), "nearest")


def resizing(layer: Any) -> Any:
    """The layer itself, or one that computes the same and has the same configuration."""
    is_plain = type(layer) is keras.layers.UpSampling2D and layer.data_format == "channels_last"
    if is_plain and layer.interpolation == "nearest":
        return _ResizingUpSampling2D.from_config(layer.get_config())
    if type(layer) is keras.layers.UpSampling1D:
        return _ResizingUpSampling1D.from_config(layer.get_config())
    return layer
