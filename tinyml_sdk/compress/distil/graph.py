"""What distillation asks of a model's graph: the output of a layer by its name, and what the model's outputs mean."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import InputError

__all__ = ["Meaning", "OutputForm", "OutputPair", "layer_output", "output_pair"]

OutputForm = Literal["softmax", "sigmoid", "linear"]
"""The last activation of an output; `linear` stands for all that are neither of the two."""

Meaning = Literal["softmax", "sigmoid", "values"]
"""Probabilities of classes that exclude each other, of independent ones, or plain numbers."""


@dataclass(frozen=True)
class OutputPair:
    """One output in both models.

    Attributes:
        meaning: None where only the loss can tell: both are linear, logits or plain numbers.
        teacher, student: The forms they have.
    """

    meaning: Meaning | None
    teacher: OutputForm
    student: OutputForm


_KEEP_THE_MEANING = {"Dropout", "Flatten", "Identity", "Reshape", "ActivationRange", "FixedRange", "MovingRange"}
"""Classes of layers; the last three round to int8, in quantization-aware training and after it."""


def layer_output(model: Any, name: str, what: str) -> Any:
    """The symbolic output of the layer called `name` within the graph of `model`.

    Not `layer.output`, which is where the layer was called first: that may have been in another model.

    Args:
        model: Functional or sequential.
        name: Of one of its layers.
        what: `student` or `teacher`, for messages.

    Raises:
        InputError: no such layer, or one that is used more than once or has several outputs.
    """
    outputs = _outputs_by_layer(model)
    if name not in outputs:
        raise InputError(f"no layer {name!r}", where=_where(model, what), hint=_where_it_may_be(model, name, outputs))
    found = outputs[name]
    if len(found) != 1:
        raise InputError(
            f"layer {name!r} has {len(found)} outputs here",
            where=_where(model, what),
            hint="choose a layer that is used once and has one output",
        )
    return found[0]


def _outputs_by_layer(model: Any) -> dict[str, list[Any]]:
    """Every operation that the outputs depend on, in order from them to the inputs."""
    found: dict[str, list[Any]] = {}
    seen: set[tuple[int, int]] = set()
    pending = list(model.outputs)
    while pending:
        operation, index, _ = pending.pop()._keras_history
        if (id(operation), index) in seen:
            continue
        seen.add((id(operation), index))
        node = operation._inbound_nodes[index]
        found.setdefault(operation.name, []).extend(node.output_tensors)
        pending.extend(node.input_tensors)
    return found


def _where_it_may_be(model: Any, name: str, outputs: dict[str, list[Any]]) -> str:
    for layer in model.layers:
        if any(inner.name == name for inner in getattr(layer, "layers", ())):
            return (
                f"it is inside {layer.name!r}: layers of a model within a model cannot be reached; try {layer.name!r}"
            )
    near = difflib.get_close_matches(name, outputs, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"its layers are {', '.join(layer.name for layer in model.layers)}"


def _where(model: Any, what: str) -> str:
    return f"{what} {model.name!r}"


def output_pair(teacher: Any, student: Any, meaning: Meaning | None = None) -> OutputPair:
    """What two outputs mean, by their activations unless it is given.

    Args:
        teacher, student: Symbolic outputs of the models.
        meaning: Where it is known.

    Raises:
        InputError: softmax in one model and sigmoid in the other.
    """
    forms = _form(teacher), _form(student)
    return OutputPair(meaning or _meaning(*forms), *forms)


def _form(tensor: Any) -> OutputForm:
    """Whether softmax or sigmoid made an output. Fake quantization and reshaping after it do not count."""
    while True:
        operation, index, position = tensor._keras_history
        name = _activation(operation)
        if name == "softmax":
            _check_softmax_axis(operation, tensor)
        if name in ("softmax", "sigmoid"):
            return name  # type: ignore[return-value]
        if getattr(operation, "outputs", None):  # a model within the model
            tensor = operation.outputs[position]
        elif type(operation).__name__ in _KEEP_THE_MEANING:
            (tensor, *_) = operation._inbound_nodes[index].input_tensors
        else:
            return "linear"


def _activation(operation: Any) -> str | None:
    """The name of an operation's activation in lower case; None where it has none."""
    operation = getattr(operation, "layer", operation)  # of TimeDistributed and other wrappers
    activation = getattr(operation, "activation", None)
    if activation is not None:
        return str(getattr(activation, "__name__", type(activation).__name__)).lower()
    kind = type(operation).__name__.lower()
    return kind if kind in ("softmax", "sigmoid") else None


def _check_softmax_axis(operation: Any, tensor: Any) -> None:
    if getattr(operation, "axis", -1) not in (-1, len(tensor.shape) - 1):
        raise InputError(
            f"its softmax is over axis {operation.axis}",
            where=f"layer {operation.name!r}",
            hint="distillation takes classes along the last axis: permute the outputs",
        )


def _meaning(teacher: OutputForm, student: OutputForm) -> Meaning | None:
    forms = {teacher, student} - {"linear"}
    if len(forms) == 2:
        raise InputError(
            f"the teacher ends in {teacher}, the student in {student}",
            where="distillation",
            hint="give both models the same last activation",
        )
    return forms.pop() if forms else None  # type: ignore[return-value]
