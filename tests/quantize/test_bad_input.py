"""What is refused before TensorFlow is started."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyml_sdk import quantize_model
from tinyml_sdk.errors import InputError
from tinyml_sdk.quantize.data import load_dataset

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
INPUTS = [("image", (1, 4, 2))]
GOOD = np.linspace(-1, 1, 160, dtype=np.float32).reshape(20, 4, 2)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("none.keras", "there is no such file"),
        (str(DIGITS / "digits.tflite"), "converted already"),
        (str(DIGITS / "README.md"), "no Keras model"),
        (str(DIGITS), "no Keras model"),
    ],
)
def test_models_that_are_none(model: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyml_sdk.quantize.quantizer.require_tensorflow", lambda: None)
    with pytest.raises(InputError, match=said):
        quantize_model(model, DIGITS / "digits_test.npz")


@pytest.mark.parametrize(
    ("name", "contents", "said"),
    [
        ("m.keras", b"junk", "m.keras: is no zip archive"),
        ("m.keras", b"", "m.keras: is empty"),
        ("m.h5", b"PK\x03\x04", "m.h5: is no HDF5 file"),
    ],
)
def test_a_file_that_no_keras_wrote_is_told_before_tensorflow_is_loaded(
    name: str, contents: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinyml_sdk.quantize.quantizer.require_tensorflow", lambda: None)
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(InputError, match=said):
        quantize_model(tmp_path / name, DIGITS / "digits_test.npz")


def test_an_object_that_is_no_functional_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyml_sdk.quantize.quantizer.require_tensorflow", lambda: None)
    with pytest.raises(InputError, match="no functional or sequential") as caught:
        quantize_model(object(), GOOD)
    assert "model.export('folder')" in caught.value.hint


def test_a_missing_data_file() -> None:
    with pytest.raises(InputError, match=r"none\.npz: there is no such file"):
        quantize_model(DIGITS / "digits.keras", "none.npz")
    with pytest.raises(InputError, match="there is no such file") as caught:
        quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", validation="none.npz")
    assert "--validation" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "entropy"}, "no method"),
        ({"granularity": "per-group"}, "no granularity"),
        ({"percentile": 50.0}, "percentile of 50"),
        ({"percentile": 100.1}, "percentile of 100.1"),
        ({"percentile": float("nan")}, "percentile of nan"),
    ],
)
def test_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        quantize_model(DIGITS / "digits.keras", GOOD, **options)


def load(data: Any, folder: Path, *, labels: bool = False) -> Any:
    return load_dataset(data, INPUTS, folder, "calibration", least=10, labels=labels)


@pytest.mark.parametrize("data", [GOOD, {"image": GOOD}, {"input_0": GOOD}, {"inputs": GOOD.astype(np.float64)}])
def test_arrays_and_their_names(data: Any, tmp_path: Path) -> None:
    dataset = load(data, tmp_path)
    (column,) = dataset.columns
    assert column.dtype == np.float32
    assert np.array_equal(column, GOOD)
    assert dataset.labels is None


def test_labels(tmp_path: Path) -> None:
    assert list(load({"inputs": GOOD, "labels": np.arange(20)}, tmp_path, labels=True).labels) == list(range(20))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.full_like(GOOD, np.nan), "NaN or infinity"),
        (np.zeros_like(GOOD), "are zero"),
        (GOOD[:9], "9 calibration samples are too few"),
        (GOOD[:, :3], "does not fit input 'image'"),
        (GOOD.astype(np.int32), "dtype int32"),
        ({"picture": GOOD}, "no key for input 0"),
        ({"inputs": GOOD, "labels": np.arange(19)}, "expected 20 integers"),
        (np.array([None] * 20), "Python objects"),
    ],
)
def test_data_that_does_not_fit(data: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load(data, tmp_path)
    assert caught.value.hint


def test_labels_are_missed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no labels"):
        load(GOOD, tmp_path, labels=True)
