"""How channels go through a layer: for each position of the last axis of its output, which channel it is.

A channel is a number. The channels that a tensor carries are an int64 array as long as its last axis: a concatenation
of layers has the channels of all, a flattened image has each channel once a position. Layers that give two channels one
fate (an addition, a batch normalization used twice) tie them. A rule that cannot follow the channels says why, and
everything that goes in and out of that layer stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..replay import Call

__all__ = [
    "PRODUCERS",
    "RECURRENT",
    "CannotFollow",
    "Channels",
    "Flow",
    "follow",
    "is_elementwise",
    "is_per_channel",
    "kind_of",
]

Channels = npt.NDArray[np.int64]

PRODUCERS = frozenset("Dense Conv1D Conv2D Conv1DTranspose Conv2DTranspose SeparableConv1D SeparableConv2D".split())
"""Layers that make new channels, one for each filter or unit: what filter pruning removes."""

RECURRENT = frozenset("LSTM GRU SimpleRNN".split())
"""Layers that can lose inputs, but whose units stay: each feeds back into all."""

# Each computes a channel from the same channel; what it does over positions does not matter.
_PER_CHANNEL = frozenset(
    """
    ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveMaxPooling1D AdaptiveMaxPooling2D
    AlphaDropout AveragePooling1D AveragePooling2D Cropping1D Cropping2D Dropout ELU GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D Identity LeakyReLU MaxPooling1D
    MaxPooling2D RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector Resizing SpatialDropout1D
    SpatialDropout2D UpSampling1D UpSampling2D ZeroPadding1D ZeroPadding2D
    """.split()
)
_ELEMENTWISE_ACTIVATIONS = frozenset(
    """
    celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid mish relu relu6
    selu sigmoid silu soft_shrink softplus softsign sparse_plus sparse_sigmoid squareplus tanh tanh_shrink threshold
    """.split()
)
# What `x + y`, `x * 2` and `keras.ops.relu(x)` leave in a graph.
_BINARY_OPERATIONS = frozenset("Add Subtract Multiply Divide TrueDivide Maximum Minimum".split())
_UNARY_OPERATIONS = frozenset(
    "Relu Relu6 Sigmoid HardSigmoid Silu HardSilu Tanh Softplus Softsign Elu Selu Gelu LeakyRelu Negative Abs "
    "Absolute".split()
)
_REDUCTIONS = frozenset("Amax Max Mean Min Sum".split())


class CannotFollow(Exception):  # noqa: N818 - not an error: the answer of a rule
    """Why the channels of a layer stay as they are; a sentence whose subject is the layer."""


class Flow:
    """All channels of a model, which of them share a fate, and why some must stay.

    Attributes:
        taken: By layer, for those whose shape depends on channels: what its first call took.
        made: By layer the channels it gives out, where they are not those it takes.
        locks: Channels that must stay, and why, as found.
    """

    def __init__(self) -> None:
        self._parent: list[int] = []
        self.taken: dict[str, Channels] = {}
        self.made: dict[str, Channels] = {}
        self.locks: list[tuple[Channels, str]] = []

    def new(self, count: int) -> Channels:
        """So many channels that have not been before."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def find(self, channel: int) -> int:
        """The channel that stands for all that share its fate."""
        while self._parent[channel] != channel:
            self._parent[channel] = self._parent[self._parent[channel]]
            channel = self._parent[channel]
        return channel

    def tie(self, ours: Channels, theirs: Channels) -> None:
        """Give the channels at equal positions one fate."""
        for one, other in np.unique(np.stack([ours, theirs], axis=1), axis=0).tolist():
            root, joined = sorted((self.find(one), self.find(other)))
            self._parent[joined] = root

    def lock(self, channels: Channels, reason: str) -> None:
        """Keep channels. The reason is a sentence about the layers that make them."""
        self.locks.append((channels, reason))

    def take(self, name: str, channels: Channels) -> None:
        """A layer whose shape depends on its channels takes these; every call of it must take the same."""
        first = self.taken.setdefault(name, channels)
        if len(first) != len(channels):
            raise CannotFollow("is called with different numbers of channels")
        self.tie(first, channels)


Rule = Callable[[Flow, Call, Sequence[Channels]], Channels]


def follow(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    """The channels of a call's only output.

    Raises:
        CannotFollow: channels are mixed or moved, or the layer is not known.
    """
    kind = kind_of(call.layer)
    rule = _RULES.get(kind)
    if rule is None:
        raise CannotFollow(f"is a {type(call.layer).__name__}, through which channels are not followed")
    if getattr(call.layer, "data_format", None) == "channels_first":
        raise CannotFollow("has its channels first")
    for tensor, channels in zip((*call.inputs, *call.outputs), (*inputs, None), strict=True):
        if len(tensor.shape) < 2 or tensor.shape[-1] is None or (channels is not None and not len(channels)):
            raise CannotFollow(f"has a tensor of shape {tuple(tensor.shape)}, without a known number of channels")
    outputs = rule(flow, call, inputs)
    if len(outputs) != call.outputs[0].shape[-1]:
        raise CannotFollow("has an output of an unexpected shape")
    return outputs


def kind_of(layer: Any) -> str:
    """The class name of one of Keras's own layers; "op:Add" for an operation; "" for anything else, subclasses too.

    A subclass may compute anything.
    """
    import keras

    kind = type(layer).__name__
    if getattr(keras.layers, kind, None) is type(layer):
        return kind
    is_operation = type(layer).__module__.startswith("keras.src.ops.")
    return f"op:{kind}" if is_operation else ""


def is_elementwise(activation: Any) -> bool:
    """Whether an activation (a function of Keras, or a layer given as one) keeps channels apart."""
    import keras

    if isinstance(activation, keras.Layer):
        return kind_of(activation) in {"ReLU", "LeakyReLU", "ELU"}
    name = getattr(activation, "__name__", "")
    return name in _ELEMENTWISE_ACTIVATIONS and getattr(keras.activations, name, None) is activation


def is_per_channel(call: Call) -> bool:
    """Whether a call is a batch normalization or an activation, each value computed from one value of its channel."""
    kind = kind_of(call.layer)
    if kind == "Activation":
        return is_elementwise(call.layer.activation)
    named = {"BatchNormalization", "ReLU", "LeakyReLU", "ELU", "PReLU", *(f"op:{name}" for name in _UNARY_OPERATIONS)}
    return kind in named


# -- rules ----------------------------------------------------------------------------------------------------------


def _same(_flow: Flow, _call: Call, inputs: Sequence[Channels]) -> Channels:
    return inputs[0]


def _produce(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    layer = call.layer
    if getattr(layer, "groups", 1) != 1:
        raise CannotFollow(f"is a convolution in {layer.groups} groups")
    _check_weights(layer, {"kernel", "depthwise_kernel", "pointwise_kernel", "bias"})
    flow.take(layer.name, inputs[0])
    if layer.name not in flow.made:
        flow.made[layer.name] = flow.new(call.outputs[0].shape[-1])
    if not is_elementwise(layer.activation):
        flow.lock(flow.made[layer.name], f"its activation {_name(layer.activation)!r} mixes channels")
    return flow.made[layer.name]


def _recurrent(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    layer = call.layer
    if len(inputs) != 1 or len(call.outputs) != 1:
        raise CannotFollow("is given its state, or gives it away")
    _check_weights(layer, {"kernel", "recurrent_kernel", "bias"})
    flow.take(layer.name, inputs[0])
    if layer.name not in flow.made:
        flow.made[layer.name] = flow.new(call.outputs[0].shape[-1])
        flow.lock(flow.made[layer.name], f"its channels meet layer {layer.name!r}, a recurrent one, whose units stay")
    return flow.made[layer.name]


def _depthwise(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    layer = call.layer
    _check_weights(layer, {"kernel", "bias"})
    if not is_elementwise(layer.activation):
        raise CannotFollow(f"has the activation {_name(layer.activation)!r}, which mixes channels")
    flow.take(layer.name, inputs[0])
    # Output channel c * multiplier + m comes of input channel c.
    flow.made[layer.name] = np.repeat(inputs[0], layer.depth_multiplier)
    return flow.made[layer.name]


def _batch_normalization(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    axes = np.atleast_1d(call.layer.axis) % len(call.inputs[0].shape)
    if axes.tolist() != [len(call.inputs[0].shape) - 1]:
        raise CannotFollow("normalizes another axis than the last")
    _check_weights(call.layer, {"gamma", "beta", "moving_mean", "moving_variance"})
    flow.take(call.layer.name, inputs[0])
    return inputs[0]


def _prelu(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    _check_weights(call.layer, {"alpha"})
    flow.take(call.layer.name, inputs[0])
    return inputs[0]


def _activation(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    if not is_elementwise(call.layer.activation):
        raise CannotFollow(f"has the activation {_name(call.layer.activation)!r}, which mixes channels")
    return inputs[0]


def _rescaling(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    if np.ndim(call.layer.scale) or np.ndim(call.layer.offset):
        raise CannotFollow("has a scale or offset for each channel")
    return inputs[0]


def _merge(flow: Flow, _call: Call, inputs: Sequence[Channels]) -> Channels:
    """Sum, product … of all inputs. An input of one channel is broadcast, and as a layer's only one always stays."""
    width = max(len(channels) for channels in inputs)
    wide = [channels for channels in inputs if len(channels) == width]
    if any(len(channels) not in {1, width} for channels in inputs):
        raise CannotFollow("broadcasts its inputs along the channels")
    for channels in wide[1:]:
        flow.tie(wide[0], channels)
    return wide[0]


def _binary_operation(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    args, kwargs = call.arguments
    others = [value for value in (*args, *kwargs.values()) if not any(value is tensor for tensor in call.inputs)]
    if any(not isinstance(value, (int, float)) for value in others):
        raise CannotFollow("is an operation with an array")
    if len({len(tensor.shape) for tensor in call.inputs}) != 1:
        raise CannotFollow("is an operation on tensors of different ranks")
    return _merge(flow, call, inputs)


def _concatenate(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    rank = len(call.inputs[0].shape)
    if call.layer.axis % rank == rank - 1:
        return np.concatenate(inputs)
    for channels in inputs[1:]:
        flow.tie(inputs[0], channels)
    return inputs[0]


def _reshape(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    """Element i of a sample, in memory order, has channel i % width before and after, so the widths must divide."""
    channels = inputs[0]
    if None in (*call.inputs[0].shape[1:], *call.outputs[0].shape[1:]):
        raise CannotFollow("has a shape that is not fixed")
    flow.take(call.layer.name, channels)
    before, after = len(channels), int(call.outputs[0].shape[-1])
    if after % before == 0:
        made = np.tile(channels, after // before)
    elif before % after == 0:
        rows = channels.reshape(-1, after)
        for row in rows[1:]:
            flow.tie(rows[0], row)
        made = rows[0]
    else:
        raise CannotFollow(f"makes {after} channels of {before}, which moves them")
    flow.made[call.layer.name] = made
    return made


def _reduction(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    rank = len(call.inputs[0].shape)
    axes = call.layer.axis
    if axes is None or rank - 1 in {axis % rank for axis in np.atleast_1d(axes).tolist()}:
        raise CannotFollow("sums up, or compares, different channels")
    return inputs[0]


def _axis_added_or_removed(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    """ExpandDims and Squeeze, where the last axis is still the last."""
    axis = call.layer.axis
    longest = max(len(call.inputs[0].shape), len(call.outputs[0].shape))
    if axis is None or longest - 1 in {one % longest for one in np.atleast_1d(axis).tolist()}:
        raise CannotFollow("moves the channels to another axis")
    return inputs[0]


def _permutation(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    """Permute, whose axes count from one after the batch, and the operation, whose axes count all."""
    order = call.layer.dims if kind_of(call.layer) == "Permute" else call.layer.axes
    rank = len(call.inputs[0].shape)
    if order is None or order[-1] % rank != rank - 1:
        raise CannotFollow("moves the channels to another axis")
    return inputs[0]


def _slice(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    """`x[:, 1:5]`."""
    args, kwargs = call.arguments
    key = next(value for value in (*args[1:], *kwargs.values()) if value is not call.inputs[0])
    parts = key if isinstance(key, tuple) else (key,)
    whole = slice(None)
    last = parts[-1] if len(parts) == len(call.inputs[0].shape) else whole
    if not all(isinstance(part, slice) for part in parts) or last != whole:
        raise CannotFollow("takes a part of the channels, or moves them")
    return inputs[0]


def _pad(_flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    if any(np.asarray(call.layer.pad_width).reshape(-1, 2)[-1]):
        raise CannotFollow("pads the channels")
    return inputs[0]


def _operation_reshape(flow: Flow, call: Call, inputs: Sequence[Channels]) -> Channels:
    shape = call.layer.newshape
    if shape[0] not in (-1, None) or any(size in (-1, None) for size in shape[1:]):
        raise CannotFollow("has a shape that is not fixed")
    return _reshape(flow, call, inputs)


def _check_weights(layer: Any, known: set[str]) -> None:
    strange = sorted({str(weight.name) for weight in layer.weights} - known)
    if strange:
        raise CannotFollow(f"has weights beyond the ordinary ones: {', '.join(strange)}")


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", type(activation).__name__))


_RULES: dict[str, Rule] = {
    **dict.fromkeys(PRODUCERS, _produce),
    **dict.fromkeys(RECURRENT, _recurrent),
    **dict.fromkeys(_PER_CHANNEL, _same),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys("Add Subtract Multiply Average Maximum Minimum".split(), _merge),
    **dict.fromkeys((f"op:{name}" for name in _BINARY_OPERATIONS), _binary_operation),
    **dict.fromkeys((f"op:{name}" for name in _UNARY_OPERATIONS), _same),
    **dict.fromkeys((f"op:{name}" for name in _REDUCTIONS), _reduction),
    **dict.fromkeys(("op:ExpandDims", "op:Squeeze"), _axis_added_or_removed),
    **dict.fromkeys(("Permute", "op:Transpose"), _permutation),
    "op:Concatenate": _concatenate,
    "op:GetItem": _slice,
    "op:Pad": _pad,
    "op:Reshape": _operation_reshape,
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Flatten": _reshape,
    "PReLU": _prelu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
}
