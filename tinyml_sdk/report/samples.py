"""A few of the inputs of a benchmark as pictures, where they are images that the model classifies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rich.console import Group, RenderableType
from rich.text import Text

from ..bench.samples import Samples
from .console import heading
from .pictures import Picture, Pictures, looks_like_images

__all__ = ["samples_report"]

MOST_PICTURES = 6

Classes = npt.NDArray[np.int64]


def samples_report(samples: Samples) -> RenderableType | None:
    """The first images with the classes that the device chose, a wrong one among them if there is any.

    None where the model is no classifier of single images.
    """
    if not samples.inputs or len(samples.inputs[0]) != 1 or len(samples.outputs[0]) != 1:
        return None
    image, scores = samples.inputs[0][0], samples.outputs[0][0]
    if not looks_like_images(image.shape) or scores.size < 2:
        return None
    predicted = np.array([int(np.argmax(tensors[0])) for tensors in samples.outputs])
    chosen = _choose(predicted, samples.labels)
    pictures = [
        Picture(
            samples.inputs[place][0].reshape(image.shape[-3:]),
            str(predicted[place]),
            None if samples.labels is None else str(samples.labels[place]),
        )
        for place in chosen
    ]
    right = "" if samples.labels is None else f", {int((predicted == samples.labels).sum()):,} are right"
    title = heading("Predicted on the device", f"of {len(predicted):,} inputs{right}; here are {len(chosen)}")
    return Group(title, Text(), Pictures(pictures))


def _choose(predicted: Classes, labels: Classes | None) -> list[int]:
    """Positions of the first few; the last of them gives its place to the first wrong one behind."""
    chosen = list(range(min(MOST_PICTURES, len(predicted))))
    if labels is not None:
        wrong = np.flatnonzero(predicted != labels)
        if wrong.size and wrong[0] not in chosen:
            chosen[-1] = int(wrong[0])
    return chosen
