"""The Keras layers of a model in quantization-aware training. Imported only where Keras is needed.

They keep the names, weights and variables of the layers they stand for, so constraints, regularizers and optimizers
see the same `kernel`; only what is computed with it is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers, ops

from ...errors import InputError
from ...quantize.fake_quantization import fake_quantize, fake_quantize_weights
from ...quantize.job import Granularity

__all__ = ["TRAINED", "FixedRange", "MovingRange", "QuantizedWeights", "kernel_axes", "observing"]

_register = keras.saving.register_keras_serializable("tinyml")


def kernel_axes(
    kind: str, variable: str, rank: int, granularity: Granularity, *, int4: bool = False
) -> tuple[int, ...]:
    """The axes of a kernel along which elements share a scale.

    TensorFlow Lite's channels are a convolution's and a dense layer's outputs, which Keras has last, and a transposed
    convolution last but one; and a depthwise kernel's (channel, multiplier), its last two. Slopes have one scale.

    Args:
        kind: The Keras class of the layer.
        variable: `kernel`, `depthwise_kernel`, `pointwise_kernel`, or `alpha` of a PReLU.
        rank: Number of dimensions of the kernel.
        granularity: As for `quantize_model`.
        int4: Whether it will have four bits: dense layers then have one scale.
    """
    if granularity == "per-tensor" or (kind == "Dense" and (int4 or granularity == "per-tensor-dense")):
        return tuple(range(rank))
    if variable == "alpha":
        return tuple(range(rank))
    if kind.endswith("Transpose"):
        return (*range(rank - 2), rank - 1)
    depthwise = variable == "depthwise_kernel" or kind.startswith("Depthwise")
    return tuple(range(rank - 2 if depthwise else rank - 1))


class QuantizedWeights(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Mixed into a Keras layer: it computes with the kernels that int8 (or int4) will hold, and trains those it has."""

    granularity: Granularity
    int4: bool
    kernels: tuple[str, ...] = ("kernel",)

    def __init__(
        self, *arguments: Any, granularity: Granularity = "per-channel", int4: bool = False, **keywords: Any
    ) -> None:
        super().__init__(*arguments, **keywords)
        self.granularity = granularity
        self.int4 = int4

    @classmethod
    def original(cls) -> Any:
        """The Keras class that this one stands for."""
        return cls.__bases__[1]

    def call(self, inputs: Any) -> Any:
        """As the original layer's."""
        rounded = [(variable, self.rounded(name)) for name, variable in self.kernel_variables().items()]
        with keras.StatelessScope(state_mapping=rounded):
            return super().call(inputs)

    def kernel_variables(self) -> dict[str, Any]:
        """The kernels by name."""
        return {name: getattr(self, name) for name in self.kernels}

    def rounded(self, name: str) -> Any:
        """A kernel as int8 (or int4) will hold it, in its own scale."""
        kernel = getattr(self, name)
        axes = kernel_axes(self.original().__name__, name, len(kernel.shape), self.granularity, int4=self.int4)
        return fake_quantize_weights(ops.convert_to_tensor(kernel), axes, self.int4)

    def adopt(self, layer: Any) -> None:
        """Take the weights of the original layer."""
        for variable in layer.weights:
            getattr(self, variable.name).assign(variable)

    def get_config(self) -> dict[str, Any]:
        """For saving: the original's, and how kernels are rounded."""
        return {**super().get_config(), "granularity": self.granularity, "int4": self.int4}


@_register
class QuantizedConv1D(QuantizedWeights, layers.Conv1D):  # type: ignore[misc]
    """A convolution over time."""


@_register
class QuantizedConv2D(QuantizedWeights, layers.Conv2D):  # type: ignore[misc]
    """A convolution."""


@_register
class QuantizedDepthwiseConv1D(QuantizedWeights, layers.DepthwiseConv1D):  # type: ignore[misc]
    """A depthwise convolution over time."""


@_register
class QuantizedDepthwiseConv2D(QuantizedWeights, layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution."""


class _QuantizedSeparable(QuantizedWeights):
    """Two convolutions of which int8 stores what passes between them, so that it has a range too."""

    kernels = ("depthwise_kernel", "pointwise_kernel")

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.between = MovingRange(name="between")

    def build(self, input_shape: Any) -> None:
        """Makes the weights, those of the range too."""
        super().build(input_shape)
        self.between.build(input_shape)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """As the original layer's."""
        pads = self.padding == "causal"
        if pads:
            reach = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs = ops.pad(inputs, [[0, 0], [reach, 0], [0, 0]])
        values = ops.depthwise_conv(
            inputs,
            self.rounded("depthwise_kernel"),
            strides=self.strides,
            padding="valid" if pads else self.padding,
            dilation_rate=self.dilation_rate,
        )
        values = self.between(values, site=0, training=training)
        values = ops.conv(values, self.rounded("pointwise_kernel"), padding="valid")
        if self.use_bias:
            values = ops.add(values, self.bias)
        return self.activation(values)


@_register
class QuantizedSeparableConv1D(_QuantizedSeparable, layers.SeparableConv1D):  # type: ignore[misc]
    """A depthwise and a pointwise convolution over time."""


@_register
class QuantizedSeparableConv2D(_QuantizedSeparable, layers.SeparableConv2D):  # type: ignore[misc]
    """A depthwise and a pointwise convolution."""


@_register
class QuantizedDense(QuantizedWeights, layers.Dense):  # type: ignore[misc]
    """A dense layer."""


@_register
class QuantizedConv1DTranspose(QuantizedWeights, layers.Conv1DTranspose):  # type: ignore[misc]
    """A transposed convolution over time."""


@_register
class QuantizedConv2DTranspose(QuantizedWeights, layers.Conv2DTranspose):  # type: ignore[misc]
    """A transposed convolution."""


@_register
class QuantizedPReLU(QuantizedWeights, layers.PReLU):  # type: ignore[misc]
    """A rectifier whose slopes below zero are learnt; they are its kernel."""

    kernels = ("alpha",)
    use_bias = False


TRAINED: dict[str, Any] = {
    layer.original().__name__: layer
    for layer in (
        QuantizedConv1D,
        QuantizedConv2D,
        QuantizedDepthwiseConv1D,
        QuantizedDepthwiseConv2D,
        QuantizedSeparableConv1D,
        QuantizedSeparableConv2D,
        QuantizedDense,
        QuantizedConv1DTranspose,
        QuantizedConv2DTranspose,
        QuantizedPReLU,
    )
}
"""The layer to train in place of one of Keras's, by the latter's class."""


@_register
class MovingRange(layers.Layer):  # type: ignore[misc]
    """Learns the range of an activation and rounds it to int8's 256 values within.

    While training, each call moves the least and the greatest value towards those of the batch: by the plain mean of
    the first batches, later by an exponential one. Otherwise both are frozen. Several tensors that share a scale
    (the inputs of a concatenation) are sites of one layer: each has ends of its own, and the range spans them all.
    Before anything was seen it passes its input on.

    Args:
        sites: How many tensors are observed.
        momentum: Weight of the past in the moving mean, from 0 to below 1.
    """

    def __init__(self, sites: int = 1, momentum: float = 0.99, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.sites = sites
        self.momentum = momentum
        self.observing = False

    def build(self, input_shape: Any) -> None:
        """Makes the ends, float32 of shape (sites,); they are not trained by gradients."""
        del input_shape
        self.low = self.add_weight(name="low", shape=(self.sites,), initializer="zeros", trainable=False)
        self.high = self.add_weight(name="high", shape=(self.sites,), initializer="zeros", trainable=False)
        self.seen = self.add_weight(name="seen", shape=(self.sites,), initializer="zeros", trainable=False)

    def call(self, inputs: Any, site: int | None = None, averaged: bool = False, training: bool | None = False) -> Any:
        """Any shape, and the same shape. With a `site` its values count, without they are only rounded.

        `averaged` behind an average pooling, see `fake_quantize`.
        """
        if (training or self.observing) and site is not None:
            self._observe(inputs, site)
        rounded = fake_quantize(inputs, ops.min(self.low), ops.max(self.high), averaged)
        return ops.where(ops.max(self.seen) > 0, rounded, inputs)

    def _observe(self, inputs: Any, site: int) -> None:
        here = ops.cast(ops.arange(self.sites) == site, "float32")
        seen = ops.convert_to_tensor(self.seen)
        step = here * (1 - ops.minimum(self.momentum, seen / (seen + 1)))
        values = ops.stop_gradient(inputs)
        self.low.assign(self.low + step * (ops.minimum(ops.min(values), 0.0) - self.low))
        self.high.assign(self.high + step * (ops.maximum(ops.max(values), 0.0) - self.high))
        self.seen.assign(seen + here)

    def learnt(self) -> tuple[float, float]:
        """The range, containing zero. Raises InputError when nothing was seen yet."""
        if not float(ops.min(self.seen)) > 0:
            raise InputError(
                "has seen no activations",
                where=f"layer {self.name!r}",
                hint="fit the model before baking it, or give prepare() calibration samples",
            )
        return float(ops.min(self.low)), float(ops.max(self.high))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """For saving: the arguments."""
        return {**super().get_config(), "sites": self.sites, "momentum": self.momentum}


@contextmanager
def observing(model: Any) -> Iterator[None]:
    """Within the block ranges follow what they see at inference too, when no Dropout distorts it. Eager calls only."""
    ranges = [layer for layer in model._flatten_layers() if isinstance(layer, MovingRange)]
    try:
        for layer in ranges:
            layer.observing = True
        yield
    finally:
        for layer in ranges:
            layer.observing = False


@_register
class FixedRange(layers.Layer):  # type: ignore[misc]
    """Rounds to the int8 scale that an operator prescribes for its output, whose range does not depend on any values.

    Args:
        low, high: The ends: 0 and 255/256 for sigmoid and softmax, -1 and 127/128 for tanh.
        after_training: Whether to leave the values alone while training. A probability rounded to zero has no
            logarithm, and Keras's losses reach for the logits behind an untouched softmax.
    """

    def __init__(
        self, low: float = 0.0, high: float = 255 / 256, after_training: bool = False, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self.low, self.high = low, high
        self.after_training = after_training

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Any shape, and the same shape."""
        if training and self.after_training:
            return inputs
        return fake_quantize(inputs, ops.convert_to_tensor(self.low), ops.convert_to_tensor(self.high))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """For saving: the arguments."""
        own = {"low": self.low, "high": self.high, "after_training": self.after_training}
        return {**super().get_config(), **own}
