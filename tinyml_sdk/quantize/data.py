"""Calibration and validation data: files or arrays in, float32 arrays checked against the model's inputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..bench.inputs import load_inputs
from ..errors import InputError
from ..graph import DType, Tensor

__all__ = ["MIN_SAMPLES", "Data", "Dataset", "check_there", "load_dataset", "save_dataset"]

Array = npt.NDArray[Any]

Data: TypeAlias = "str | Path | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]"
"""An .npz file, the array of a model's only input, or arrays by name (`labels` among them)."""

MIN_SAMPLES = 10
"""Fewer tell too little of the ranges that will be met in use."""


class Dataset:
    """Samples of one kind.

    Attributes:
        columns: For each input float32 of shape (N, *shape without the batch).
        labels: Class numbers, int64 of shape (N,), or real values, float64 of shape (N, …), or None.
    """

    def __init__(self, columns: list[Array], labels: Array | None) -> None:
        self.columns = columns
        self.labels = labels

    def __len__(self) -> int:
        return len(self.columns[0])


def check_there(data: Data, what: str) -> None:
    """Refuse a file that is missing before TensorFlow is started for it. Raises InputError."""
    if isinstance(data, (str, Path)) and not Path(data).is_file():
        raise InputError(
            "there is no such file", where=str(data), hint=f"give --{what} an .npz file with the array 'inputs'"
        )


def load_dataset(
    data: Data, inputs: Sequence[tuple[str, tuple[int, ...]]], folder: Path, what: str, *, least: int, labels: bool
) -> Dataset:
    """Read and check samples.

    Args:
        data: As in `Data`; keys as in `bench.inputs.load_inputs`.
        inputs: Name and shape, with its batch of one, of each of the model's inputs.
        folder: Where arrays may be put for a moment.
        what: `calibration` or `validation`, for messages.
        least: How many samples there must be.
        labels: Whether there must be labels.

    Raises:
        InputError: names the key and what was expected: missing, of another shape or dtype, NaN, too few,
            calibration data of nothing but zeros.
    """
    path = Path(data) if isinstance(data, (str, Path)) else _as_file(data, folder / "given" / f"{what}.npz")
    tensors = [Tensor(index, name, shape, DType.FLOAT32) for index, (name, shape) in enumerate(inputs)]
    rows, found = load_inputs(path, tensors, real_labels=True)
    where = path.name if isinstance(data, (str, Path)) else f"{what} data"
    if len(rows) < least:
        raise InputError(
            f"{len(rows)} {what} samples are too few, {least} the least",
            where=where,
            hint="give samples as the model will meet them, 100 or more",
        )
    if labels and found is None:
        raise InputError("there are no labels", where=where, hint="save the right class of each sample as 'labels'")
    columns = [np.concatenate([row[position] for row in rows]) for position in range(len(tensors))]
    for (name, _), column in zip(inputs, columns, strict=True):
        if what == "calibration" and not column.any():
            raise InputError(
                f"all values of input {name!r} are zero, which gives no range",
                where=where,
                hint="give samples as the model will meet them",
            )
    return Dataset(columns, found)


def save_dataset(dataset: Dataset, path: Path) -> None:
    """Write what the worker reads."""
    arrays: dict[str, Any] = {f"input_{position}": column for position, column in enumerate(dataset.columns)}
    np.savez(path, **arrays)


def _as_file(data: npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]], path: Path) -> Path:
    """The same checks for arrays as for files, at the price of a copy."""
    arrays = dict(data) if isinstance(data, Mapping) else {"inputs": data}
    plain: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items()}
    if any(array.dtype.hasobject for array in plain.values()):
        raise InputError("holds Python objects", where=path.stem, hint="give plain float32 arrays of one shape")
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **plain)
    return path
