"""The model that Keras trains in place of the student: the student's outputs, and the teacher in its loss."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InputError
from . import losses
from .graph import Meaning, OutputForm, OutputPair

__all__ = ["FeaturePair", "Plan", "distilled_model"]


@dataclass(frozen=True)
class FeaturePair:
    """Two symbolic tensors to be compared, (N, positions…, channels).

    Attributes:
        student, teacher: In the graph of either model.
        size: Positions along each axis at which they are compared: the smaller of both.
        weight: Of the term in the loss.
    """

    student: Any
    teacher: Any
    size: tuple[int, ...]
    weight: float


@dataclass(frozen=True)
class Plan:
    """A checked `Distillation` for one student.

    Attributes:
        teacher: The model.
        teacher_inputs: For each of its inputs the position of the student's.
        temperature, alpha: As in `Distillation`.
        outputs: In the models' order.
        features, attention: Pairs of layers.
    """

    teacher: Any
    teacher_inputs: tuple[int, ...]
    temperature: float
    alpha: float
    outputs: tuple[OutputPair, ...]
    features: tuple[FeaturePair, ...]
    attention: tuple[FeaturePair, ...]


class Traced(NamedTuple):
    """What the student gives in training.

    Attributes:
        outputs: As the student alone gives them.
        features: Of all pairs, in order: features, then attention.
    """

    outputs: Any
    features: list[Any]


def distilled_model(student: Any, plan: Plan) -> Any:
    """The Keras model that trains `student` by `plan`."""
    return _model_class()(student, plan)


@functools.cache
def _model_class() -> Any:
    """The class, made when it is first needed: its base comes with Keras."""
    import keras

    class DistilledModel(keras.Model):  # type: ignore[misc]
        """A student in training. The train step is Keras's own: only the loss is ours, and what it needs to know."""

        def __init__(self, student: Any, plan: Plan) -> None:
            super().__init__(name=f"{student.name}_distilled")
            self.student = student
            self.adapters = _adapters(plan.features)
            # In an object that Keras does not look into, or the teacher's weights would be trained too.
            self._traced = _TracedPair(student, plan)

        def compile(self, *args: Any, **options: Any) -> None:
            super().compile(*args, **options)
            if self.loss is None and self._traced.plan.alpha > 0:
                raise InputError(
                    "compiled without a loss for the labels",
                    where="distillation",
                    hint="give compile a loss, or Distillation alpha=0 to learn from the teacher alone",
                )

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            if not training:
                return self.student(inputs, training=False)
            return self._traced.student(inputs)

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            if not isinstance(y_pred, Traced):
                return super().compute_loss(x, y, y_pred, sample_weight, training)
            alpha = self._traced.plan.alpha
            regularisers = sum(keras.ops.sum(term) for term in self.losses)
            soft, matched = self._traced.terms(x, y_pred, self.adapters, self.loss, sample_weight)
            if alpha == 0:  # labels may be missing, and a loss for them
                return soft + matched + regularisers
            labelled = super().compute_loss(x, y, y_pred.outputs, sample_weight, training)
            # Keras has added the regularisers to it, so alpha of them is there: with the rest they count in full.
            return alpha * labelled + (1 - alpha) * (soft + regularisers) + matched

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            outputs = y_pred.outputs if isinstance(y_pred, Traced) else y_pred
            return super().compute_metrics(x, y, outputs, sample_weight)

    return DistilledModel


def _adapters(pairs: Sequence[FeaturePair]) -> dict[str, Any]:
    """By pair: a dense layer over channels, which is a 1x1 convolution, where the numbers of channels differ."""
    from keras import layers

    adapters = {}
    for index, pair in enumerate(pairs):
        if pair.student.shape[-1] != pair.teacher.shape[-1]:
            adapter = layers.Dense(pair.teacher.shape[-1], name=f"adapter_{index}")
            adapter.build((None, *pair.size, pair.student.shape[-1]))
            adapters[str(index)] = adapter
    return adapters


class _TracedPair:
    """Student and teacher with the layers to compare as further outputs. They share layers with the models given."""

    def __init__(self, student: Any, plan: Plan) -> None:
        import keras

        pairs = (*plan.features, *plan.attention)
        self.plan = plan
        self._names = [tensor.name for tensor in student.inputs]
        self._outputs = len(student.outputs)
        self._structure = student.compute_output_spec(student.inputs)
        self._student = keras.Model(student.inputs, [*student.outputs, *(pair.student for pair in pairs)])
        self._teacher = keras.Model(plan.teacher.inputs, [*plan.teacher.outputs, *(pair.teacher for pair in pairs)])

    def student(self, inputs: Any) -> Traced:
        """The student in training mode, its outputs in the structure that it gives them in."""
        import keras

        results = _as_list(self._student(self._as_inputs(inputs), training=True))
        outputs, features = results[: self._outputs], results[self._outputs :]
        single = self._outputs == 1 and not isinstance(self._structure, dict)
        return Traced(outputs[0] if single else keras.tree.pack_sequence_as(self._structure, outputs), features)

    def _teach(self, inputs: Any) -> tuple[list[Any], list[Any]]:
        """The teacher's outputs and features, through which no gradient flows."""
        from keras import ops

        own = self._as_inputs(inputs)
        given = self._teacher([own[position] for position in self.plan.teacher_inputs], training=False)
        results = [ops.stop_gradient(tensor) for tensor in _as_list(given)]
        return results[: self._outputs], results[self._outputs :]

    def _as_inputs(self, inputs: Any) -> list[Any]:
        """Whatever structure the data came in, as a list in the order of the student's inputs."""
        import keras

        if isinstance(inputs, dict) and set(self._names) <= set(inputs):
            return [inputs[name] for name in self._names]
        return list(keras.tree.flatten(inputs))

    def terms(
        self, inputs: Any, traced: Traced, adapters: dict[str, Any], loss: Any, sample_weight: Any
    ) -> tuple[Any, Any]:
        """Two numbers: the loss between the outputs, summed over them; and that of all pairs, weighted."""
        import keras

        taught, features = self._teach(inputs)
        learnt = keras.tree.flatten(traced.outputs)
        soft = sum(
            _output_loss(wanted, got, pair, loss, self.plan.temperature)
            for wanted, got, pair in zip(taught, learnt, self.plan.outputs, strict=True)
        )
        matched = keras.ops.zeros_like(soft)
        for index, pair in enumerate((*self.plan.features, *self.plan.attention)):
            wanted, got = (losses.pool_to_size(of[index], pair.size) for of in (features, traced.features))
            if index < len(self.plan.features):
                adapter = adapters.get(str(index))
                term = losses.mean_squared_error(wanted, adapter(got) if adapter else got)
            else:
                term = losses.attention_transfer(wanted, got)
            matched += pair.weight * term
        return _weighted_mean(soft, sample_weight), _weighted_mean(matched, sample_weight)


def _output_loss(teacher: Any, student: Any, pair: OutputPair, loss: Any, temperature: float) -> Any:
    """The loss between two outputs, (N,)."""
    meaning = pair.meaning or _meaning_by_loss(loss)
    if meaning == "values":
        return losses.mean_squared_error(teacher, student)
    divergence = losses.soft_labels if meaning == "softmax" else losses.binary_soft_labels
    return divergence(_logits(teacher, pair.teacher), _logits(student, pair.student), temperature)


def _logits(output: Any, form: OutputForm) -> Any:
    if form == "softmax":
        return losses.softmax_logits(output)
    return losses.sigmoid_logits(output) if form == "sigmoid" else output


def _meaning_by_loss(loss: Any) -> Meaning:
    """What linear outputs mean: logits where the loss takes such, else values."""
    if getattr(loss, "from_logits", False):
        return "sigmoid" if type(loss).__name__.startswith("Binary") else "softmax"
    return "values"


def _weighted_mean(values: Any, sample_weight: Any) -> Any:
    """As Keras averages its losses: over the samples, each times its weight, or the mean of its weights."""
    from keras import ops

    if getattr(sample_weight, "shape", ()):  # one array for all outputs
        each = ops.reshape(ops.cast(sample_weight, values.dtype), (ops.shape(values)[0], -1))
        values = values * ops.mean(each, axis=1)
    return ops.mean(values)


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
