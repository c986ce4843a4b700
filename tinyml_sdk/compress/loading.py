"""The model that a recipe starts from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingToolError
from ..quantize.keras_file import check_keras_file
from ..quantize.loading import check_keras, read_keras
from .replay import flattened
from .weight_layers import cloned

__all__ = ["check_source", "load_source"]

_SAVE_HINT = "give a .keras or .h5 file, from model.save('model.keras')"


def check_source(model: str | Path | Any) -> None:
    """Refuse a file that cannot be a model before TensorFlow is imported for it. Raises InputError."""
    if not isinstance(model, (str, Path)):
        return
    path = Path(model)
    if not path.exists():
        raise InputError("there is no such file", where=str(path), hint="check the path")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise InputError("is a folder without saved_model.pb", where=path.name, hint=_SAVE_HINT)
        if not (path / "keras_metadata.pb").is_file():
            raise InputError("is a SavedModel that holds a graph without layers", where=path.name, hint=_SAVE_HINT)
    elif path.suffix == ".tflite":
        raise InputError("is converted already", where=path.name, hint="give the Keras model it was made from")
    elif path.suffix not in (".keras", ".h5", ".hdf5"):
        raise InputError("is no Keras model", where=path.name, hint=_SAVE_HINT)
    else:
        check_keras_file(path)


def load_source(model: str | Path | Any) -> tuple[Any, str]:
    """The Keras model, a copy of one that was given as such, and what messages call it.

    Models used as layers are dissolved, so that every stage finds every layer by the same name.

    Raises:
        InputError: it cannot be read, or its layers cannot be followed.
        MissingToolError: a SavedModel of Keras 2, and tf-keras is not installed.
    """
    if not isinstance(model, (str, Path)):
        name = str(getattr(model, "name", type(model).__name__))
        check_keras(model, name)
        return flattened(cloned(model)), name
    check_source(model)
    path = Path(model)
    loaded = _from_folder(path) if path.is_dir() else read_keras(path, path.name)
    check_keras(loaded, path.name)
    return flattened(loaded), path.name


def _from_folder(path: Path) -> Any:
    """A SavedModel of Keras 2 remembers its layers; Keras 3 exports the graph alone."""
    try:
        import tf_keras
    except ImportError as error:
        raise MissingToolError(
            "the tf-keras package, which reads Keras 2's SavedModel, is not installed",
            where=path.name,
            hint='pip install "tinyml-sdk[rnn]", or save the model as .h5',
        ) from error
    with tempfile.TemporaryDirectory(prefix="tinyml-compress-") as folder:
        file = Path(folder) / "model.h5"
        try:
            tf_keras.models.load_model(path, compile=False).save(file, save_format="h5")
        except Exception as error:  # tf-keras documents none of what it raises
            said = " ".join(str(error).split())[:200]
            raise InputError(f"cannot be loaded: {said}", where=path.name, hint=_SAVE_HINT) from error
        return read_keras(file, path.name)
