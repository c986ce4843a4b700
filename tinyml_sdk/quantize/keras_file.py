"""What a Keras file begins with: foreign and damaged ones are told before TensorFlow is imported for them."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

__all__ = ["check_keras_file"]

_BEGINNINGS = {
    ".keras": (b"PK\x03\x04", "zip archive"),
    ".h5": (b"\x89HDF\r\n\x1a\n", "HDF5 file"),
    ".hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5 file"),
}
"""By suffix: the first bytes, and what has them. Keras tells neither by its contents."""


def check_keras_file(path: Path) -> None:
    """Raise InputError where a .keras or .h5 file cannot be read or holds something else."""
    beginning, kind = _BEGINNINGS[path.suffix]
    try:
        with path.open("rb") as stream:
            first = stream.read(8)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check the path and its permissions"
        ) from error
    if not first.startswith(beginning):
        raise InputError(
            f"is {'empty' if not first else f'no {kind}'}, and so no Keras model",
            where=path.name,
            hint=f"write it anew with model.save('model{path.suffix}')",
        )
