"""Samples and labels for scores, checked against the model that will see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

__all__ = ["as_columns", "checked_labels", "spread"]

Array = npt.NDArray[Any]


def as_columns(model: Any, inputs: Any, method: str) -> list[Array]:
    """Samples as one array for each of the model's inputs, checked.

    Raises:
        InputError: missing, of another shape or count, not numbers, NaN or infinite.
    """
    if inputs is None:
        raise InputError(
            f"importance {method!r} needs samples", where="inputs", hint="give some of the training data as inputs"
        )
    names = [str(tensor._keras_history.operation.name) for tensor in model.inputs]
    if isinstance(inputs, Mapping):
        missing = [name for name in names if name not in inputs]
        if missing:
            raise InputError(f"there is none for {missing[0]!r}", where="inputs", hint=f"name {', '.join(names)}")
        given = [inputs[name] for name in names]
    else:
        given = list(inputs) if isinstance(inputs, (list, tuple)) and len(names) > 1 else [inputs]
    if len(given) != len(names):
        raise InputError(
            f"there are {len(given)} arrays for {len(names)} inputs", where="inputs", hint=f"name {', '.join(names)}"
        )
    columns = [_column(name, tensor, values) for name, tensor, values in zip(names, model.inputs, given, strict=True)]
    if len({len(column) for column in columns}) != 1 or not len(columns[0]):
        raise InputError(
            f"have {', '.join(str(len(column)) for column in columns)} samples",
            where="inputs",
            hint="give as many samples of each, one at the least",
        )
    return columns


def _column(name: str, tensor: Any, values: Any) -> Array:
    column = np.asarray(values)
    expected = tuple(tensor.shape[1:])
    fits = column.ndim == len(expected) + 1 and all(
        size in {None, found} for size, found in zip(expected, column.shape[1:], strict=True)
    )
    if not fits or column.dtype.kind not in "fiub":
        raise InputError(
            f"is {column.dtype} of shape {column.shape}, and the model takes (samples, {str(expected)[1:-1]})",
            where=f"input {name!r}",
            hint="give plain arrays, samples first",
        )
    column = column.astype(tensor.dtype)
    if not np.isfinite(column).all():
        raise InputError("has values that are NaN or infinite", where=f"input {name!r}", hint="clean the data first")
    return column


def spread(count: int, samples: int) -> npt.NDArray[np.int64]:
    """Which samples to use of `count`: at most `samples`, evenly, as data often comes sorted by class.

    Raises:
        InputError: fewer than one are asked for.
    """
    if samples < 1:
        raise InputError(f"{samples} samples are none", where="samples", hint="use 256, or as many as time allows")
    chosen: npt.NDArray[np.int64] = np.linspace(0, count - 1, min(samples, count)).round().astype(np.int64)
    return chosen


def checked_labels(model: Any, labels: Any, method: str, count: int) -> Array:
    """Labels for a model's only output: whole numbers as given, others as float32, (count, …).

    Raises:
        InputError: missing, of another count, not finite numbers, or the model has several outputs.
    """
    if labels is None:
        raise InputError(
            f"importance {method!r} needs labels",
            where="labels",
            hint="give them, or use l2 or activation, which don't",
        )
    if len(model.outputs) != 1:
        raise InputError(
            f"importance {method!r} needs a model of one output, and this has {len(model.outputs)}",
            where="loss",
            hint="use l2 or activation",
        )
    truth = np.asarray(labels)
    if truth.ndim < 1 or len(truth) != count:
        raise InputError(
            f"have shape {truth.shape}, and there are {count} samples", where="labels", hint="give one for each sample"
        )
    if truth.dtype.kind not in "fiub" or not np.isfinite(truth).all():
        raise InputError("are not all finite numbers", where="labels", hint="give class numbers or target values")
    return truth.astype(np.float32) if truth.dtype.kind == "f" else truth
