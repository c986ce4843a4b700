"""Which class a classifier chose, and labels that can be right: the same in a benchmark and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

__all__ = ["check_classes", "chosen_classes"]


def chosen_classes(outputs: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The class chosen: the greatest output, or whether a single one is above 0.5. Real values, (N, …) → (N,)."""
    flat = outputs.reshape(len(outputs), -1)
    chosen = flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0] > 0.5
    return chosen.astype(np.int64)


def check_classes(labels: npt.NDArray[Any], outputs: int, where: str) -> None:
    """Raise InputError where labels, integers of shape (N,), are no classes of a model with so many outputs."""
    classes = max(outputs, 2)
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"labels from {labels.min()} to {labels.max()} for a model with {classes} classes",
            where=where,
            hint=f"number the classes from 0 to {classes - 1}, in the order of the model's outputs",
        )
