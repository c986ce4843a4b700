"""Where int8 stores an activation, and which of those share a scale: known before any training.

TensorFlow Lite quantizes what an operator writes. An activation function that the operator applies itself is not seen
in between; operators that only move or choose values write in the scale that they read; sigmoid and softmax have a
scale of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ...errors import InputError
from ..filters.flow import kind_of
from ..replay import Call
from .decomposing import FUSING, WITH_KERNEL
from .functions import function_of
from .rewriting import calls_of, consumers_of, is_input

__all__ = ["Placement", "Site", "place"]

COMPUTING = frozenset("Add BatchNormalization Divide Multiply Normalization Rescaling Subtract TrueDivide".split())
AVERAGING = frozenset("GlobalAveragePooling1D GlobalAveragePooling2D Mean".split())
POOLING = frozenset("AveragePooling1D AveragePooling2D MaxPooling1D MaxPooling2D".split())
MOVING = frozenset(
    "Concatenate Cropping1D Cropping2D ExpandDims Flatten GetItem GlobalMaxPooling1D GlobalMaxPooling2D Max Maximum "
    "Minimum Pad Permute Reshape Resizing Squeeze Stack Transpose UpSampling1D UpSampling2D ZeroPadding1D "
    "ZeroPadding2D".split()
)
ABSENT = frozenset(
    "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise Identity RandomBrightness "
    "RandomContrast RandomFlip RandomRotation RandomTranslation RandomZoom SpatialDropout1D SpatialDropout2D".split()
)
"""Layers that do nothing at inference."""

_RECURRENT = frozenset("Bidirectional ConvLSTM1D ConvLSTM2D GRU LSTM RNN SimpleRNN".split())
_FUNCTIONS = {
    "abs": "curve",
    "hard_silu": "curve",
    "leaky_relu": "curve",
    "linear": "absent",
    "relu": "rectifier",
    "relu6": "rectifier",
    "sigmoid": "fixed",
    "softmax": "fixed",
    "tanh": "fixed",
}
FIXED_RANGES = {"sigmoid": (0.0, 255 / 256), "softmax": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}
"""What operators prescribe for their output, by activation function."""

_ROLES = {
    "kernel": WITH_KERNEL,
    "computing": COMPUTING,
    "curve": frozenset({"Dot", "Matmul", "PReLU"}),
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
        fixed: The range that its operator prescribes, or None.
        averaged: Whether an average pooling made it.
    """

    group: str
    number: int | None
    fixed: tuple[float, float] | None = None
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
    """Find the sites of a functional model from `decompose`.

    Raises:
        InputError: a layer that cannot be trained for int8, by name.
    """
    survey = _Survey(model)
    for call in survey.calls:
        survey.tie(call)
    _check_used_once(survey, model.name)
    placement = Placement()
    for call in survey.calls:
        if id(call.outputs[0]) not in survey.fused and survey.role(call) != "absent":
            _add(placement, call, survey, model.name)
    return placement


def _check_used_once(survey: _Survey, model: str) -> None:
    uses = Counter(call.layer.name for call in survey.calls if _has_weights_to_train(call))
    for name, count in uses.items():
        if count > 1:
            raise InputError(
                "is used several times, which cannot be trained for int8",
                where=f"{model}: layer {name!r}",
                hint="give each use a layer of its own",
            )


def _has_weights_to_train(call: Call) -> bool:
    return kind_of(call.layer) in WITH_KERNEL | {"PReLU"}


class _Survey:
    """The calls of a model, what each does to scales, and which tensors share one.

    Attributes:
        fused: Tensors that are never stored, as the operator applies the activation function behind them.
        saturated: Tensors stored in the range of the ReLU behind them, which cuts them off as it does.
    """

    def __init__(self, model: Any) -> None:
        self.calls, self._consumers = calls_of(model), consumers_of(model)
        self._roles = {id(call): _role(call, model.name) for call in self.calls}
        self.makers = {id(tensor): call for call in self.calls for tensor in call.outputs}
        self.groups = _Groups()
        self.fused: set[int] = set()
        self.saturated: set[int] = set()

    def role(self, call: Call) -> str:
        return self._roles[id(call)]

    def tie(self, call: Call) -> None:
        """Join what a call reads and writes where they share a scale."""
        if self.role(call) == "rectifier":
            self._rectify(call)
        if self.role(call) in _FOLLOWING:
            for tensor in call.inputs:
                self.groups.join(id(tensor), id(call.outputs[0]))

    def _rectify(self, call: Call) -> None:
        source = call.inputs[0]
        is_alone = self._consumers[id(source)] == 1
        while self.role(self.makers[id(source)]) == "absent":
            source = self.makers[id(source)].inputs[0]
            is_alone &= self._consumers[id(source)] == 1
        maker = self.makers[id(source)]
        before = self.role(maker)
        if is_alone and (before == "computing" or kind_of(maker.layer) in FUSING):
            self.fused.add(id(source))
        elif before == "pooling":
            self._roles[id(call)] = "pooling"  # which applies it
        elif is_alone and before in ("kernel", "curve"):
            self.saturated.add(id(source))
            self.groups.join(id(source), id(call.outputs[0]))
        elif function_of(call.layer) == "relu6":
            self._roles[id(call)] = "moving"  # TensorFlow Lite Micro's RELU6 has no other scale for its output

    def decides(self, tensor: int) -> bool:
        """Whether the range of a tensor's group depends on what is seen of it."""
        return self.role(self.makers[tensor]) not in _FOLLOWING and tensor not in self.saturated


def _add(placement: Placement, call: Call, survey: _Survey, model: str) -> None:
    """The site of a call's output."""
    output = id(call.outputs[0])
    deciding = [survey.makers[member] for member in survey.groups.members(output) if survey.decides(member)]
    name = f"{deciding[0].layer.name}_range"
    fixed = [maker for maker in deciding if survey.role(maker) == "fixed"]
    if fixed and len(deciding) > 1:
        raise InputError(
            "its scale is prescribed, and it shares it with other layers",
            where=f"{model}: layer {fixed[0].layer.name!r}",
            hint="do not concatenate a sigmoid, tanh or softmax with other layers",
        )
    prescribed = FIXED_RANGES[function_of(fixed[0].layer)] if fixed else None
    number = None
    if any(maker is call for maker in deciding) and not fixed:
        number = placement.observed.get(name, 0)
        placement.observed[name] = number + 1
    placement.sites[output] = Site(name, number, prescribed, kind_of(call.layer).startswith("AveragePooling"))


def _role(call: Call, model: str) -> str:
    if is_input(call):
        return "input"
    # `x + y` and keras.ops.concatenate are operations, and act as the layers of their names.
    kind = kind_of(call.layer).removeprefix("op:")
    role = next((role for role, kinds in _ROLES.items() if kind in kinds), None)
    role = role or _FUNCTIONS.get(function_of(call.layer))
    if role is None or len(call.outputs) != 1 or not _is_plain(call, kind):
        raise _refusal(call, model)
    return role


def _is_plain(call: Call, kind: str) -> bool:
    """Whether a call is what its kind usually is: constants other than of sums and products have no place."""
    if kind in ("Maximum", "Minimum"):
        return len(call.inputs) > 1
    if kind == "Resizing":
        return call.layer.interpolation in ("nearest", "bilinear")
    return True


def _refusal(call: Call, model: str) -> InputError:
    where = f"{model}: layer {call.layer.name!r}"
    kind = type(call.layer).__name__
    if kind in _RECURRENT:
        return InputError(
            f"is a recurrent layer ({kind}), which cannot be trained for int8",
            where=where,
            hint="quantize the model after training, without the QAT stage",
        )
    if kind == "TimeDistributed":
        hint = "leave it out around a Dense layer, which works on the last axis as it is; or quantize after training"
        return InputError("(TimeDistributed) cannot be trained for int8", where=where, hint=hint)
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
