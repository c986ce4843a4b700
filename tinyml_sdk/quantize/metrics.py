"""How well a model does: one number from its outputs and the labels, the same for the float and the int8 model."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..bench.classes import check_classes, chosen_classes
from ..errors import InputError

__all__ = ["METRICS", "Metric", "check_labels", "higher_is_better", "metric_function"]

Array = npt.NDArray[Any]
Metric: TypeAlias = "str | Callable[[Array, Array], float]"
"""A name in `METRICS`, or a function of labels (N, …) and outputs (N, …), both float64 or labels int64."""


def accuracy(labels: Array, outputs: Array) -> float:
    """Share of samples for which the model's class is the label."""
    return float(np.mean(chosen_classes(outputs) == labels))


def balanced_accuracy(labels: Array, outputs: Array) -> float:
    """Mean over the classes of the share that is found, so that a rare class counts as much as a common one."""
    right = chosen_classes(outputs) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def f1(labels: Array, outputs: Array) -> float:
    """Mean over the classes in the labels of 2 TP / (2 TP + FP + FN)."""
    chosen = chosen_classes(outputs)
    scores = []
    for label in np.unique(labels):
        hits = np.sum((chosen == label) & (labels == label))
        scores.append(2 * hits / (np.sum(chosen == label) + np.sum(labels == label)))
    return float(np.mean(scores))


def auc(labels: Array, outputs: Array) -> float:
    """Area under the ROC curve of the last output, for labels 0 and 1: Mann-Whitney's U, ties count half."""
    scores = outputs.reshape(len(outputs), -1)[:, -1]
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if not (len(positive) and len(negative)):
        return 0.5
    below = np.searchsorted(negative, positive, side="left") + np.searchsorted(negative, positive, side="right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def mae(labels: Array, outputs: Array) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(outputs.reshape(labels.shape) - labels)))


def mse(labels: Array, outputs: Array) -> float:
    """Mean squared error."""
    return float(np.mean((outputs.reshape(labels.shape) - labels) ** 2))


METRICS: dict[str, Callable[[Array, Array], float]] = {
    metric.__name__: metric for metric in (accuracy, balanced_accuracy, f1, auc, mae, mse)
}
_ERRORS = ("mae", "mse")  # of labels of the outputs' shape; all others take class numbers


def metric_function(metric: Metric) -> Callable[[Array, Array], float]:
    """The function of a metric. Raises InputError for a name that is none."""
    if callable(metric):
        return metric
    if metric not in METRICS:
        close = difflib.get_close_matches(metric, METRICS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(METRICS)}"
        raise InputError(f"{metric!r} is no metric", where="metric", hint=hint)
    return METRICS[metric]


def higher_is_better(metric: Metric) -> bool:
    """Whether more is better; a function of the user's counts as such."""
    return metric not in _ERRORS


def check_labels(labels: Array, outputs: tuple[int, ...], metric: Metric, where: str) -> None:
    """Do the labels fit a model's outputs, as far as the metric asks for it?

    Args:
        labels: (N,) class numbers, or real values (N, …).
        outputs: Shape of one output, without the batch.
        metric: Name or function; functions take what they are given.
        where: For the message.

    Raises:
        InputError: class numbers out of range or not integers, real values of another shape than the outputs.
    """
    if callable(metric):
        return
    size = int(np.prod(outputs, dtype=np.int64))
    if metric in _ERRORS:
        if labels[:1].size != size:
            raise InputError(
                f"labels of shape {labels.shape} for outputs of shape {('N', *outputs)}".replace("'", ""),
                where=where,
                hint=f"{metric} compares values one by one: give labels of the outputs' shape",
            )
        return
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels are {labels.dtype} of shape {labels.shape}, not class numbers",
            where=where,
            hint=f"save the right class of each sample, 0 to {max(size, 2) - 1}, or choose the metric mae or mse",
        )
    check_classes(labels, size, where)
