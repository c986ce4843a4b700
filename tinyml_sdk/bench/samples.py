"""What was put into a benchmark and what came out, for those who want to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Samples"]

Tensors = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Samples:
    """The inferences of one benchmark.

    Attributes:
        inputs: For each inference the model's inputs, of their shapes and dtypes.
        outputs: For each inference what the device answered.
        labels: The right class of each inference, int64 of shape (N,), where the inputs came with labels.
    """

    inputs: Sequence[Tensors]
    outputs: Sequence[Tensors]
    labels: npt.NDArray[np.int64] | None
