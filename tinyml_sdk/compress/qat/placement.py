"""Where int8 stores an activation, and which of those share a scale: known before any training.

TensorFlow Lite quantizes what an operator writes. An activation function that the operator applies itself is not seen
in between; operators that only move or choose values write in the scale that they read; sigmoid and softmax have a
scale of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...errors import InputError
from ..filters.flow import kind_of
from ..replay import Call
from .rewriting import calls_of, consumers_of, is_input

__all__ = ["Placement", "Site", "place"]

WITH_KERNEL = frozenset("Conv1D Conv2D Dense DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D".split())
COMPUTING = frozenset("Add BatchNormalization Multiply Rescaling Subtract".split())
AVERAGING = frozenset("GlobalAveragePooling1D GlobalAveragePooling2D".split())
POOLING = frozenset("AveragePooling1D AveragePooling2D MaxPooling1D MaxPooling2D".split())
MOVING = frozenset(
    "Concatenate Cropping1D Cropping2D Flatten Permute Reshape UpSampling1D UpSampling2D ZeroPadding1D "
    "ZeroPadding2D".split()
)
ABSENT = frozenset(
    "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise Identity SpatialDropout1D "
    "SpatialDropout2D".split()
)
"""Layers that do nothing at inference."""

_RECURRENT = frozenset("Bidirectional ConvLSTM1D ConvLSTM2D GRU LSTM RNN SimpleRNN TimeDistributed".split())
_FUNCTIONS = {"linear": "absent", "relu": "rectifier", "relu6": "rectifier", "sigmoid": "fixed", "softmax": "fixed"}
FUSED = frozenset({"linear", "relu", "relu6"})
"""Activation functions that a layer with a kernel applies itself."""

_ROLES = {
    "kernel": WITH_KERNEL,
    "computing": COMPUTING,
    "averaging": AVERAGING,
    "pooling": POOLING,
    "moving": MOVING,
    "absent": ABSENT,
}
_FOLLOWING = ("absent", "moving", "pooling")  # roles of calls whose output is scaled as their input


@dataclass(frozen=True)
class Site:
    """One tensor that int8 stores.

    Attributes:
        group: The name of the range it has; tensors of one group share it.
        number: Which of the group's observed tensors it is; None for one that follows from those.
        fixed: Whether its operator prescribes the scale.
        averaged: Whether an average pooling made it.
    """

    group: str
    number: int | None
    fixed: bool = False
    averaged: bool = False


@dataclass
class Placement:
    """The sites of a model.

    Attributes:
        sites: By the `id` of the Keras tensor.
        observed: How many observed tensors each group has.
    """

    sites: dict[int, Site] = field(default_factory=dict)
    observed: dict[str, int] = field(default_factory=dict)


def place(model: Any) -> Placement:
    """Find the sites of a functional model whose kernels have linear or fused activations only.

    Raises:
        InputError: a layer that cannot be trained for int8, by name.
    """
    calls, consumers = calls_of(model), consumers_of(model)
    roles = {id(call): _role(call, model.name) for call in calls}
    makers = {id(tensor): call for call in calls for tensor in call.outputs}
    groups = _Groups()
    fused = set()
    for call in calls:
        (output,) = call.outputs
        role = roles[id(call)]
        if role == "rectifier":
            source = call.inputs[0]
            while roles[id(makers[id(source)])] == "absent":
                source = makers[id(source)].inputs[0]
            before = roles[id(makers[id(source)])]
            if before in ("kernel", "computing") and consumers[id(source)] == 1:
                fused.add(id(source))
            elif before == "pooling":
                role = "pooling"  # which applies it
        if role in _FOLLOWING:
            for tensor in call.inputs:
                groups.join(id(tensor), id(output))
    placement = Placement()
    for call in calls:
        (output,) = call.outputs
        if id(output) not in fused and roles[id(call)] != "absent":
            _add(placement, call, roles, groups, makers, model.name)
    return placement


def _add(
    placement: Placement,
    call: Call,
    roles: dict[int, str],
    groups: _Groups,
    makers: dict[int, Call],
    model: str,
) -> None:
    """The site of a call's output."""
    output = id(call.outputs[0])
    members = groups.members(output)
    deciding = [makers[member] for member in members if roles[id(makers[member])] not in _FOLLOWING]
    name = f"{deciding[0].layer.name}_range"
    fixed = [maker for maker in deciding if roles[id(maker)] == "fixed"]
    if fixed and len(deciding) > 1:
        raise InputError(
            "its scale is prescribed, and it shares it with other layers",
            where=f"{model}: layer {fixed[0].layer.name!r}",
            hint="do not concatenate a sigmoid or softmax with other layers",
        )
    number = None
    if any(maker is call for maker in deciding) and not fixed:
        number = placement.observed.get(name, 0)
        placement.observed[name] = number + 1
    placement.sites[output] = Site(name, number, bool(fixed), kind_of(call.layer).startswith("AveragePooling"))


def _role(call: Call, model: str) -> str:
    if is_input(call):
        return "input"
    # `x + y` and keras.ops.concatenate are operations, and act as the layers of their names.
    kind = kind_of(call.layer).removeprefix("op:")
    for role, kinds in _ROLES.items():
        if kind in kinds:
            return role
    function = {"Softmax": "softmax", "ReLU": "relu", "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid"}.get(kind)
    if kind == "Activation":
        function = getattr(call.layer.activation, "__name__", "")
    if kind == "ReLU" and (call.layer.negative_slope or call.layer.threshold or call.layer.max_value not in (None, 6)):
        function = None
    if function in _FUNCTIONS:
        return _FUNCTIONS[function]
    raise _refusal(call, model)


def _refusal(call: Call, model: str) -> InputError:
    where = f"{model}: layer {call.layer.name!r}"
    kind = type(call.layer).__name__
    if kind in _RECURRENT:
        return InputError(
            f"is a recurrent layer ({kind}), which cannot be trained for int8",
            where=where,
            hint="quantize the model after training, without the QAT stage",
        )
    function = getattr(getattr(call.layer, "activation", None), "__name__", "")
    return InputError(
        f"({kind}{f', {function}' if function else ''}) cannot be trained for int8",
        where=where,
        hint="use convolutions, dense and pooling layers, ReLU, sigmoid and softmax, or quantize after training",
    )


class _Groups:
    """Sets of tensors that are joined pair by pair."""

    def __init__(self) -> None:
        self._sets: dict[int, list[int]] = {}

    def members(self, tensor: int) -> list[int]:
        return self._sets.setdefault(tensor, [tensor])

    def join(self, one: int, other: int) -> None:
        first, second = self.members(one), self.members(other)
        if first is second:
            return
        first += second
        for tensor in second:
            self._sets[tensor] = first
