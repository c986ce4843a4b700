"""Knowledge distillation: a trained teacher as the loss of a student, in any stage that trains.

```python
trainer = Distillation(teacher, temperature=4.0, alpha=0.3).wrap(student)
trainer.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
trainer.fit(inputs, labels)  # trains `student` itself
```

With h the loss given to `compile`, what training minimises is

    alpha h + (1 - alpha) soft + Σ weight · features + Σ weight · attention + the student's own regularisers

where `soft` compares the outputs: T² KL(softmax(teacher/T) ‖ softmax(student/T)) for classes, the same of each unit for
sigmoids, and the mean squared error for other numbers. `distil_losses` has each term and its source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np

from ...errors import InputError
from .graph import Meaning, OutputPair, layer_output, output_pair
from .training import FeaturePair, Plan, distilled_model

__all__ = ["Distillation", "FeatureMatch"]

_WHERE = "distillation"


@dataclass(frozen=True)
class FeatureMatch:
    """A layer of the student that learns from one of the teacher.

    Attributes:
        student_layer, teacher_layer: Their names. Both outputs are (N, positions…, channels), of the same rank.
        weight: Of this term in the loss; above 0.
    """

    student_layer: str
    teacher_layer: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise InputError(
                f"a weight of {self.weight:g} for layer {self.student_layer!r}",
                where=_WHERE,
                hint="give a weight above 0, or leave the pair out",
            )


@dataclass(frozen=True, eq=False)
class Distillation:
    """What a student learns from a teacher besides the labels.

    Attributes:
        teacher: A trained functional or sequential Keras model. It is only ever called, with training=False.
        temperature: T above 0; more shows more of what the teacher thinks of the wrong classes. Not used for plain
            numbers.
        alpha: Share of the labels' loss, 0 to 1; the outputs of the teacher have the rest. With 0 no labels are needed.
        features: Layers whose outputs are to be alike (mean squared error). A 1x1 convolution from the student's
            channels to the teacher's is trained along where their numbers differ, and forgotten afterwards. Where the
            numbers of positions differ, both maps are averaged down to the smaller.
        attention: Layers that are to be active at the same positions; channels may differ. Best the outputs of
            activations: those of a convolution alone are not yet what is active.
        outputs: What the outputs mean. `auto` goes by the last activations, and calls linear outputs classes or
            yes-or-no where the loss given to `compile` is a crossentropy with from_logits=True, else values.

    Raises:
        InputError: a number out of its range, or a teacher with weights that are not finite.
    """

    teacher: Any
    _: KW_ONLY
    temperature: float = 4.0
    alpha: float = 0.5
    features: tuple[FeatureMatch, ...] = ()
    attention: tuple[FeatureMatch, ...] = ()
    outputs: Meaning | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(
                f"a temperature of {self.temperature:g}", where=_WHERE, hint="give one above 0; 2 to 10 are usual"
            )
        if not 0 <= self.alpha <= 1:
            raise InputError(
                f"an alpha of {self.alpha:g}",
                where=_WHERE,
                hint="give the share of the labels' loss, from 0 (teacher only) to 1 (labels only)",
            )
        if self.outputs not in ("auto", "softmax", "sigmoid", "values"):
            raise InputError(
                f"{self.outputs!r} is no meaning of outputs",
                where=_WHERE,
                hint="choose one of auto, softmax, sigmoid, values",
            )
        _check_kind(self.teacher, "teacher")
        _check_finite(self.teacher)

    def wrap(self, student: Any) -> Any:
        """A Keras model that trains `student` in place, by reference: compile it, fit it, then use `student`.

        Metrics, `evaluate` and `predict` of it are the student's; the loss that `evaluate` gives is the one given to
        `compile`, without the teacher. Its variables are the student's and those of the adapters. Save the student.

        Args:
            student: Functional or sequential, with inputs and outputs of the teacher's shapes.

        Raises:
            InputError: the two models do not go together, or a layer is not there or of another kind.
        """
        _check_kind(student, "student")
        _check_apart(self.teacher, student)
        order = _matching_inputs(self.teacher, student)
        _check_outputs(self.teacher, student)
        plan = Plan(
            teacher=self.teacher,
            teacher_inputs=order,
            temperature=self.temperature,
            alpha=self.alpha,
            outputs=self._outputs(student),
            features=tuple(self._pair(match, student) for match in self.features),
            attention=tuple(self._attention_pair(match, student) for match in self.attention),
        )
        return distilled_model(student, plan)

    def _outputs(self, student: Any) -> tuple[OutputPair, ...]:
        meaning = None if self.outputs == "auto" else self.outputs
        pairs = zip(self.teacher.outputs, student.outputs, strict=True)
        return tuple(output_pair(teacher, own, meaning) for teacher, own in pairs)

    def _pair(self, match: FeatureMatch, student: Any) -> FeaturePair:
        """The two outputs and the size at which they are compared."""
        own = layer_output(student, match.student_layer, "student")
        wanted = layer_output(self.teacher, match.teacher_layer, "teacher")
        where = f"layers {match.student_layer!r} and {match.teacher_layer!r}"
        if len(own.shape) != len(wanted.shape) or len(own.shape) < 2:
            raise InputError(
                f"outputs of {_shape(own)} and {_shape(wanted)} cannot be compared",
                where=where,
                hint="choose layers with the same number of axes, such as two Conv2D or two Dense",
            )
        if None in (*own.shape[1:], *wanted.shape[1:]):
            raise InputError(
                f"outputs of {_shape(own)} and {_shape(wanted)}: not all sizes are fixed",
                where=where,
                hint="build both models with an Input of fixed shape",
            )
        size = tuple(map(min, own.shape[1:-1], wanted.shape[1:-1]))
        return FeaturePair(own, wanted, size, match.weight)

    def _attention_pair(self, match: FeatureMatch, student: Any) -> FeaturePair:
        pair = self._pair(match, student)
        if not pair.size:
            raise InputError(
                "has no positions to be attentive to",
                where=f"layers {match.student_layer!r} and {match.teacher_layer!r}",
                hint="choose layers before the pooling or flattening, or match them as features",
            )
        return pair


def _check_kind(model: Any, what: str) -> None:
    if not {"Functional", "Sequential"} & {base.__name__ for base in type(model).__mro__}:
        raise InputError(
            f"a {type(model).__name__} is no functional or sequential Keras model",
            where=what,
            hint="rebuild it with the functional API; load_model('file.keras') gives such a model",
        )
    if not model.built or not getattr(model, "outputs", None):
        raise InputError("has no shapes yet", where=f"{what} {model.name!r}", hint="begin it with keras.Input(shape)")


def _check_finite(teacher: Any) -> None:
    for variable, values in zip(teacher.weights, teacher.get_weights(), strict=True):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                f"weight {variable.path!r} has values that are not finite",
                where=f"teacher {teacher.name!r}",
                hint="its training diverged: train it again with a smaller learning rate",
            )


def _check_apart(teacher: Any, student: Any) -> None:
    shared = {id(variable) for variable in teacher.weights} & {id(variable) for variable in student.weights}
    if shared:
        raise InputError(
            f"teacher and student share {len(shared)} weights, so training would change the teacher",
            where=f"student {student.name!r}",
            hint="distil into a copy: keras.models.clone_model(teacher), then set_weights",
        )


def _matching_inputs(teacher: Any, student: Any) -> tuple[int, ...]:
    """For each input of the teacher the position of the student's: by name where the names agree, else by order."""
    names = [tensor.name for tensor in student.inputs]
    wanted = [tensor.name for tensor in teacher.inputs]
    order = tuple(map(names.index, wanted)) if sorted(names) == sorted(wanted) else tuple(range(len(names)))
    own = [student.inputs[position] for position in order]
    _check_same_shapes(teacher.inputs, own, "inputs", "the teacher must take what the student takes")
    return order


def _check_outputs(teacher: Any, student: Any) -> None:
    hint = "compare inner layers of different shape with features= or attention=; outputs must have the same classes"
    _check_same_shapes(teacher.outputs, student.outputs, "outputs", hint)


def _check_same_shapes(teacher: Sequence[Any], student: Sequence[Any], what: str, hint: str) -> None:
    if [tensor.shape[1:] for tensor in teacher] != [tensor.shape[1:] for tensor in student]:
        shapes = [" and ".join(map(_shape, tensors)) for tensors in (teacher, student)]
        raise InputError(f"{what} of {shapes[0]} in the teacher, {shapes[1]} in the student", where=_WHERE, hint=hint)


def _shape(tensor: Any) -> str:
    return str(("N", *tensor.shape[1:])).replace("'", "").replace(",)", ")")
