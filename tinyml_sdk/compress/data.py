"""Training and validation data: files, arrays or tf.data in, checked against the model before anything is trained."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..quantize.data import load_dataset

__all__ = ["LEAST_SAMPLES", "Samples", "TrainingData", "hold_out", "load_training_data"]

Array = npt.NDArray[Any]

TrainingData: TypeAlias = "str | Path | Mapping[str, Array] | tuple[Array, Array] | Any"
"""An .npz file with inputs and `labels`, the same arrays by name, (inputs, labels), or a finite tf.data.Dataset of
batches (inputs, labels)."""

LEAST_SAMPLES = 20
"""Fewer are a mistake: nothing can be trained or judged with them."""

_STREAM_SAMPLES = 2048  # of tf.data to train on, for scores and calibration


@dataclass(frozen=True)
class Samples:
    """Samples of one kind.

    Attributes:
        columns: For each input float32 of shape (N, *shape without the batch); of tf.data the first samples.
        labels: For each sample: class numbers int64 (N,), or real values float64 (N, …).
        stream: The tf.data.Dataset to train on, or None.
        batches: How many batches the stream has; 0 without.
    """

    columns: list[Array]
    labels: Array
    stream: Any = None
    batches: int = 0

    def __len__(self) -> int:
        return len(self.columns[0])

    def steps(self, batch_size: int) -> int:
        """Batches in one epoch."""
        return self.batches if self.stream is not None else math.ceil(len(self) / batch_size)

    def take(self, places: Array) -> Samples:
        """Those at the given places, int64 of shape (n,)."""
        return Samples([column[places] for column in self.columns], self.labels[places])

    def first(self, count: int) -> Samples:
        """At most `count`, evenly spread over all."""
        places = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype(np.int64))
        return self.take(places)

    def by_name(self, names: list[str]) -> dict[str, Array]:
        """As `quantize_model` takes them."""
        return dict(zip(names, self.columns, strict=True)) | {"labels": self.labels}


def load_training_data(
    data: TrainingData, inputs: list[tuple[str, tuple[int, ...]]], output: tuple[int, ...], what: str
) -> Samples:
    """Read and check samples.

    Args:
        data: As in `TrainingData`. Without labels the model must be an autoencoder, whose inputs are its labels.
        inputs: Name and shape, with its batch of one, of each of the model's inputs.
        output: Shape of the model's output, without the batch.
        what: `training` or `validation`, for messages.

    Raises:
        InputError: names what is missing, of another shape or dtype, not finite, or too little.
    """
    stream, batches = None, 0
    if hasattr(data, "element_spec"):
        stream, (data, batches) = data, _head(data, inputs, what)
    elif isinstance(data, tuple):
        data = _from_pair(data, inputs, what)
    elif not isinstance(data, (str, Path, Mapping)):
        raise InputError(
            f"is a {type(data).__name__}",
            where=f"{what} data",
            hint="give an .npz file, arrays by name, (inputs, labels), or a tf.data.Dataset",
        )
    with tempfile.TemporaryDirectory(prefix="tinyml-compress-") as folder:
        found = load_dataset(data, inputs, Path(folder), what, least=LEAST_SAMPLES, labels=False)
    labels = found.labels
    if labels is None:
        if len(inputs) > 1 or inputs[0][1][1:] != output:
            where = Path(data).name if isinstance(data, (str, Path)) else f"{what} data"
            raise InputError("there are no labels", where=where, hint="save what is right of each sample as 'labels'")
        labels = found.columns[0].astype(np.float64)
    return Samples(found.columns, labels, stream, batches)


def _from_pair(data: tuple[Any, ...], inputs: list[tuple[str, tuple[int, ...]]], what: str) -> dict[str, Array]:
    if len(data) != 2:
        raise InputError(
            f"is a tuple of {len(data)}, not (inputs, labels)", where=f"{what} data", hint="give inputs and labels"
        )
    return _named(data[0], inputs) | {"labels": np.asarray(data[1])}


def _named(values: Any, inputs: list[tuple[str, tuple[int, ...]]]) -> dict[str, Array]:
    if isinstance(values, Mapping):
        return {key: np.asarray(value) for key, value in values.items()}
    columns = values if isinstance(values, (list, tuple)) else [values]
    return {name: np.asarray(column) for (name, _), column in zip(inputs, columns, strict=False)}


def _head(stream: Any, inputs: list[tuple[str, tuple[int, ...]]], what: str) -> tuple[dict[str, Array], int]:
    """The first samples of tf.data, by name, and how many batches it has. To judge by, all samples."""
    where = f"{what} data"
    most = _STREAM_SAMPLES if what == "training" else math.inf
    batches = int(stream.cardinality())
    if batches == -1:
        raise InputError("is an endless tf.data.Dataset", where=where, hint="end it with .take(steps of one epoch)")
    parts: list[dict[str, Array]] = []
    count = seen = 0
    for element in stream:
        if not (isinstance(element, tuple) and len(element) == 2):
            raise InputError("does not give (inputs, labels)", where=where, hint="give a dataset of such pairs")
        seen += 1
        if count < most:
            parts.append(_named(element[0], inputs) | {"labels": np.asarray(element[1])})
            count += len(parts[-1]["labels"]) if parts[-1]["labels"].ndim else 0
        elif batches >= 0:
            break
    if not count:
        raise InputError("gives no batches", where=where, hint="give it samples, and .batch(32)")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}, batches if batches >= 0 else seen


def hold_out(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Divide samples in two by chance: (the rest, `share` of them), of each class alike where labels are classes.

    Raises:
        InputError: tf.data, which cannot be divided here.
    """
    if samples.stream is not None:
        raise InputError(
            "tf.data cannot be divided", where="validation data", hint="give validation samples of their own"
        )
    rng = np.random.default_rng(seed)
    classes = samples.labels if samples.labels.ndim == 1 and samples.labels.dtype.kind == "i" else None
    held = np.zeros(len(samples), bool)
    for label in [None] if classes is None else np.unique(classes):
        places = np.arange(len(samples)) if label is None else np.flatnonzero(classes == label)
        held[rng.permutation(places)[: round(share * len(places))]] = True
    return samples.take(np.flatnonzero(~held)), samples.take(np.flatnonzero(held))
