"""What a Keras model will cost once it is int8: multiply-accumulates and bytes of weights, layer by layer.

Convolutions, dense and recurrent layers are counted as `tinyml inspect` counts the operators they become. Other layers
have no multiply-accumulates to speak of and count none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from ..errors import InputError
from .filters.channels import checked
from .filters.flow import RECURRENT, kind_of
from .replay import Call, calls, flattened

__all__ = ["LayerCost", "count_macs", "layer_costs", "weight_bytes"]

BIAS_BYTES = 4
"""Biases are int32. All other weights are int8."""

_KERNELS = frozenset("Dense Conv1D Conv2D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D".split())
_TRANSPOSED = frozenset("Conv1DTranspose Conv2DTranspose".split())


@dataclass(frozen=True)
class Part:
    """A number that grows with the layer's inputs, its outputs, or both."""

    amount: int
    by_inputs: bool = False
    by_outputs: bool = False


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs.

    Attributes:
        layer: Its name; those of inner models as in `filters_replay.flattened`.
        macs: Multiply-accumulates of one inference, of all its calls.
        weight_bytes: Bytes of its weights as int8 and of its biases as int32.
        macs_parts: What the first sums up.
        bytes_parts: What the second sums up.
    """

    layer: str
    macs: int
    weight_bytes: int
    macs_parts: tuple[Part, ...] = ()
    bytes_parts: tuple[Part, ...] = ()

    def with_channels(self, inputs: tuple[int, int], outputs: tuple[int, int]) -> tuple[int, int]:
        """MACs and weight bytes if only some channels were left, each side as (channels left, channels now)."""

        def scaled(part: Part) -> int:
            amount = part.amount
            for scales, (left, now) in ((part.by_inputs, inputs), (part.by_outputs, outputs)):
                amount = amount * left // now if scales else amount
            return amount

        return sum(map(scaled, self.macs_parts)), sum(map(scaled, self.bytes_parts))


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one inference (a batch of one), weights times activations; biases are not counted.

    Raises:
        InputError: no graph, or an input shape that is not fixed.
    """
    return sum(cost.macs for cost in layer_costs(model))


def weight_bytes(model: Any) -> int:
    """Bytes of the weights in an int8 model: 1 for each weight, 4 for each bias.

    A batch normalization right behind a convolution or dense layer disappears into that layer's weights and bias, which
    it then has even if Keras's has none. Anywhere else it costs 2 bytes a channel, a factor and an offset. Scales and
    zero points, which formats keep in different ways, are not counted.

    Raises:
        InputError: as `count_macs`.
    """
    return sum(cost.weight_bytes for cost in layer_costs(model))


def layer_costs(model: Any) -> tuple[LayerCost, ...]:
    """The cost of each layer that has weights, in the model's order. Raises InputError as `count_macs`."""
    order = list(calls(flattened(checked(model))))
    normalizations = _normalization_bytes(order)
    names = list(dict.fromkeys(call.layer.name for call in order if getattr(call.layer, "weights", None)))
    costs = []
    for name in names:
        own = [call for call in order if call.layer.name == name]
        macs = tuple(part for call in own for part in _macs(call))
        size = tuple(_bytes(own[0].layer, normalizations))
        costs.append(LayerCost(name, sum(part.amount for part in macs), sum(part.amount for part in size), macs, size))
    return tuple(costs)


def _macs(call: Call) -> Iterator[Part]:
    """The work of one call: what a kernel multiplies, at each of its positions."""
    kind, sizes = kind_of(call.layer), _sizes(call.layer)
    if kind in RECURRENT or kind == "Bidirectional":
        steps = _positions(call, call.inputs[0])
        yield Part(steps * sizes["kernel"], by_inputs=True)
        yield Part(steps * sizes["recurrent_kernel"])
    elif kind in _TRANSPOSED:
        yield Part(_positions(call, call.inputs[0]) * sizes["kernel"], by_inputs=True, by_outputs=True)
    elif kind in _KERNELS:
        positions = _positions(call, call.outputs[0])
        yield from (replace(part, amount=positions * part.amount) for part in _kernels(call.layer))


def _bytes(layer: Any, normalizations: Mapping[str, int]) -> Iterator[Part]:
    kind, sizes = kind_of(layer), _sizes(layer)
    if kind == "BatchNormalization":
        yield Part(normalizations[layer.name], by_outputs=True)
    elif kind in _KERNELS | _TRANSPOSED:
        yield from _kernels(layer)
        yield Part(BIAS_BYTES * sizes["bias"], by_outputs=True)
    elif kind == "PReLU":
        yield Part(sizes["alpha"], by_inputs=layer.alpha.shape[-1] > 1)
    else:
        rest = sum(size * (BIAS_BYTES if name == "bias" else 1) for name, size in sizes.items() if name != "kernel")
        yield Part(sizes["kernel"], by_inputs=True)  # a recurrent layer's
        yield Part(rest)


def _kernels(layer: Any) -> Iterator[Part]:
    """The numbers of weights in a layer's kernels."""
    sizes = _sizes(layer)
    if kind_of(layer).startswith("Depthwise"):
        yield Part(sizes["kernel"], by_inputs=True)
    else:
        yield Part(sizes["depthwise_kernel"], by_inputs=True)
        yield Part(sizes["kernel"] + sizes["pointwise_kernel"], by_inputs=True, by_outputs=True)


def _sizes(layer: Any) -> Counter[str]:
    """How many weights of each name; a bidirectional layer has every name twice."""
    sizes: Counter[str] = Counter()
    for variable in layer.weights:
        sizes[variable.name] += prod(variable.shape)
    return sizes


def _normalization_bytes(order: Sequence[Call]) -> dict[str, int]:
    """For each batch normalization what it costs: nothing where a layer before it takes it into its bias."""
    made_by = {id(tensor): call.layer for call in order for tensor in call.outputs}
    uses = Counter(id(tensor) for call in order for tensor in call.inputs)
    found = {}
    for call in order:
        if kind_of(call.layer) == "BatchNormalization":
            source: Any = made_by.get(id(call.inputs[0]))
            channels = int(call.inputs[0].shape[-1])
            if not _takes_normalization(source) or uses[id(call.inputs[0])] != 1:
                found[call.layer.name] = 2 * channels
            else:
                found[call.layer.name] = 0 if source.use_bias else BIAS_BYTES * channels
    return found


def _takes_normalization(layer: Any) -> bool:
    return kind_of(layer) in _KERNELS | _TRANSPOSED and getattr(layer.activation, "__name__", "") == "linear"


def _positions(call: Call, tensor: Any) -> int:
    """How many positions a tensor has, (batch, *positions, channels)."""
    positions = tensor.shape[1:-1]
    if None in positions:
        raise InputError(
            f"has a tensor of shape {tuple(tensor.shape)}: only the batch may be open",
            where=f"layer {call.layer.name!r}",
            hint="build the model with a fixed input shape, keras.Input((height, width, channels))",
        )
    return prod(positions)
