"""Comparing the device's outputs with the reference, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .classes import chosen_classes
from .result import Accuracy, Check

__all__ = ["compare_outputs", "first_differing", "measure_accuracy"]

Outputs = Sequence[Sequence[npt.NDArray[np.generic]]]
"""Of each inference, the model's output tensors."""


def compare_outputs(reference: str, expected: Outputs, actual: Outputs) -> Check:
    """Compare inference by inference; `first_divergent_layer` is left open. Float outputs compare by their bits too."""
    differing = 0
    max_abs_diff = 0.0
    for wanted_tensors, got_tensors in zip(expected, actual, strict=True):
        for wanted, got in zip(wanted_tensors, got_tensors, strict=True):
            unequal = _bits(wanted) != _bits(got)
            differing += int(unequal.sum())
            if unequal.any():
                gap = np.abs(wanted.reshape(-1).astype(np.float64) - got.reshape(-1).astype(np.float64))
                max_abs_diff = max(max_abs_diff, float(np.nanmax(gap, initial=0.0)))
    return Check(
        reference=reference,
        inputs=len(expected),
        bit_exact=differing == 0,
        differing=differing,
        max_abs_diff=int(np.ceil(max_abs_diff)),
        first_divergent_layer=None,
    )


def first_differing(expected: Outputs, actual: Outputs) -> int:
    """The position of the first inference whose outputs differ. Raises ValueError when none does."""
    for position, (wanted, got) in enumerate(zip(expected, actual, strict=True)):
        if any((_bits(a) != _bits(b)).any() for a, b in zip(wanted, got, strict=True)):
            return position
    raise ValueError("all outputs are equal")


def _bits(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(f"u{flat.dtype.itemsize}")


def measure_accuracy(
    labels: npt.NDArray[np.generic] | None, scores: Tensor, expected: Outputs, actual: Outputs
) -> Accuracy | None:
    """Top-1 accuracy of a classifier; None without labels.

    Args:
        labels: Of shape (N,).
        scores: The model's first output: one score for each class, or a single one.
        expected, actual: What the reference and the device answered.
    """
    if labels is None:
        return None
    device, reference = (float(np.mean(_classes(outputs, scores) == labels)) for outputs in (actual, expected))
    return Accuracy(device, reference, samples=int(labels.size))


def _classes(outputs: Outputs, scores: Tensor) -> npt.NDArray[np.int64]:
    values = np.stack([tensors[0].reshape(-1) for tensors in outputs]).astype(np.float64)
    if scores.quantization is not None:
        values = (values - scores.zero_point) * scores.scale
    return chosen_classes(values)
