"""The Keras layer that carries what quantization-aware training learnt of an activation: its range.

Like `upsampling.py` it imports Keras when it is imported; the other modules do so where they need it. Import it
before `keras.models.load_model` reads a model that holds such layers, as that makes the class known to Keras.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from .fake_quantization import fake_quantize
from .job import Granularity

__all__ = ["ActivationRange"]


@keras.saving.register_keras_serializable("tinyml")
class ActivationRange(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Rounds and clips its input to int8's 256 values between two ends; has no weights and is never trained.

    In Keras the model thereby computes what its int8 form will, but for rounding. `quantize_model` takes the layer out
    and makes the range the scale of the tensor that it stood behind. A layer may be called for several tensors, which
    then share their scale.

    Args:
        low: Least value, at most 0; float32.
        high: Greatest value, at least 0; float32.
        granularity: How the weights of the model were rounded. They must be quantized in the same way.
        int4_layers: The layers whose weights were rounded to four bits.
    """

    def __init__(
        self,
        low: float,
        high: float,
        granularity: Granularity = "per-channel",
        int4_layers: Sequence[str] = (),
        **keywords: Any,
    ) -> None:
        super().__init__(trainable=False, **{key: value for key, value in keywords.items() if key != "trainable"})
        self.low = float(low)
        self.high = float(high)
        self.granularity: Granularity = granularity
        self.int4_layers = tuple(int4_layers)
        self.is_open = False  # passes its input on as it is: for conversion

    def call(self, inputs: Any, averaged: bool = False) -> Any:
        """Any shape, and the same shape. `averaged` behind an average pooling, see `fake_quantize`."""
        if self.is_open:
            return inputs
        low, high = keras.ops.convert_to_tensor(self.low), keras.ops.convert_to_tensor(self.high)
        return fake_quantize(inputs, low, high, averaged)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """For saving: the arguments."""
        own: dict[str, Any] = {"low": self.low, "high": self.high, "granularity": self.granularity}
        if self.int4_layers:
            own["int4_layers"] = list(self.int4_layers)
        return {**super().get_config(), **own}
