"""Training a Keras model in place: loss, early stopping, what must hold, and a line of progress for each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .data import Samples
from .distil import Distillation
from .held import hold

if TYPE_CHECKING:
    from .recipe import Training

__all__ = ["Objective", "Progress", "TrainingReport", "choose_loss", "packed", "train"]

Array = npt.NDArray[Any]


class Progress(Protocol):
    """Is told how far a stage is: `done` of `total` steps, and a word on how it goes."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Called often: be quick."""


@dataclass(frozen=True)
class Objective:
    """What training is for.

    Attributes:
        loss: A Keras loss.
        training: Samples to learn from.
        validation: Samples that early stopping looks at.
        teacher: To learn from besides the labels, or None.
        zeros: Layers whose zero weights stay zero.
        shared: Layers whose equal weights stay equal.
    """

    loss: Any
    training: Samples
    validation: Samples
    teacher: Distillation | None = None
    zeros: Collection[str] = ()
    shared: Collection[str] = ()

    @property
    def is_classifier(self) -> bool:
        """Whether labels are class numbers."""
        return self.training.labels.dtype.kind == "i"


@dataclass(frozen=True)
class TrainingReport:
    """What a training did.

    Attributes:
        epochs: How many were run.
        seconds: Of the wall clock.
        loss: Of the training data in each epoch.
        validation_loss: Of the validation data in each epoch.
        stopped_early: Whether it ended before all epochs.
    """

    epochs: int
    seconds: float
    loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    stopped_early: bool


def choose_loss(model: Any, labels: Array, name: str) -> Any:
    """The Keras loss of a name; for `auto` what fits.

    Class numbers get cross entropy (binary where the model has one output), from logits where the model does not end in
    softmax or sigmoid; real values get the mean squared error.

    Raises:
        InputError: the name is no loss of Keras.
    """
    import keras

    if name != "auto":
        try:
            return keras.losses.get(name)
        except ValueError as error:
            hint = "use a name of keras.losses, such as mean_squared_error, or auto"
            raise InputError(f"{name!r} is no loss", where="loss", hint=hint) from error
    if labels.dtype.kind != "i":
        return keras.losses.MeanSquaredError()
    final = _final_activation(model)
    if int(np.prod(model.output_shape[1:])) == 1:
        return keras.losses.BinaryCrossentropy(from_logits=final != "sigmoid")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=final != "softmax")


def _final_activation(model: Any) -> str:
    """Name of the activation behind a model's output, or of the layer where that is one."""
    layer = model.outputs[0]._keras_history.operation
    activation = getattr(layer, "activation", None)
    return str(getattr(activation, "__name__", type(layer).__name__.lower()))


def train(
    model: Any,
    objective: Objective,
    how: Training,
    *,
    what: str,
    progress: Progress,
    callbacks: Sequence[Any] = (),
    patience_from: int = 0,
) -> TrainingReport:
    """Train a model in place.

    Args:
        model: A functional or sequential Keras model.
        objective: What for.
        how: Epochs, batches, learning rate.
        what: For progress and messages: `fine-tuning after prune_filters`.
        progress: Called after each batch with `what`, batches done, batches in all, and a word on how it goes.
        callbacks: More callbacks for Keras's `fit`.
        patience_from: The first epoch that early stopping looks at: gradual pruning must be over before the best is
            kept.

    Raises:
        InputError: the loss is no number any more.
    """
    import keras

    data = objective.training
    batches = data.steps(how.batch_size)
    trained = model if objective.teacher is None else objective.teacher.wrap(model)
    watching: list[Any] = [_progress_callback(what, batches, how.epochs, progress)]
    if how.early_stopping is not None:
        watching.append(
            keras.callbacks.EarlyStopping(
                "val_loss", patience=how.early_stopping, restore_best_weights=True, start_from_epoch=patience_from
            )
        )
    start = time.monotonic()
    with hold(model, objective.zeros, objective.shared):
        # Only now, as a compiled step has its constraints built in.
        trained.compile(
            optimizer=keras.optimizers.Adam(_learning_rate(how, batches)),
            loss=objective.loss,
            metrics=["accuracy"] if objective.is_classifier else [],
        )
        history = trained.fit(
            **_fit_data(model, data, how.batch_size),
            validation_data=(packed(model, objective.validation.columns), objective.validation.labels),
            epochs=how.epochs,
            verbose=0,
            callbacks=[*callbacks, *watching],
        ).history
    losses = tuple(map(float, history["loss"]))
    return TrainingReport(
        epochs=len(losses),
        seconds=round(time.monotonic() - start, 1),
        loss=losses,
        validation_loss=tuple(map(float, history["val_loss"])),
        stopped_early=len(losses) < how.epochs,
    )


def packed(model: Any, columns: Sequence[Any]) -> Any:
    """One value for each input in the structure that the model was built with."""
    import keras

    if isinstance(model, keras.Sequential) or len(columns) == 1:
        return columns[0]
    return keras.tree.pack_sequence_as(model.input, list(columns))


def _fit_data(model: Any, data: Samples, batch_size: int) -> dict[str, Any]:
    if data.stream is not None:
        return {"x": data.stream}
    return {"x": packed(model, data.columns), "y": data.labels, "batch_size": batch_size, "shuffle": True}


def _learning_rate(how: Training, batches: int) -> Any:
    import keras

    if how.schedule == "constant":
        return how.learning_rate
    return keras.optimizers.schedules.CosineDecay(how.learning_rate, max(1, how.epochs * batches))


def _progress_callback(what: str, batches: int, epochs: int, progress: Progress) -> Any:
    import keras

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        """Reports each batch, and ends a training that has no future."""

        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            logs = logs or {}
            loss = float(logs.get("loss", 0.0))
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss is {loss} in epoch {self.epoch + 1}: training diverged",
                    where=what,
                    hint="lower the learning_rate, or look for outliers in the data",
                )
            done = self.epoch * batches + batch + 1
            shown = f"accuracy {100 * logs['accuracy']:.1f} %" if "accuracy" in logs else f"loss {loss:.4g}"
            progress(what, done, batches * epochs, f"epoch {self.epoch + 1}/{epochs}, {shown}")

    return Watch()
