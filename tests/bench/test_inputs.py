"""Inputs made up for the check, and inputs read from a user's file."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinyml_sdk.bench.inputs import check_inputs, load_inputs, quantize
from tinyml_sdk.errors import InputError
from tinyml_sdk.graph import DType, Quantization, Tensor

Array = npt.NDArray[Any]


def int8_tensor(
    shape: tuple[int, ...] = (1, 8, 8, 1), *, scale: float = 1 / 16, zero: int = -128, name: str = "image"
) -> Tensor:
    return Tensor(0, name, shape, DType.INT8, Quantization((scale,), (zero,)))


IMAGE = int8_tensor()
FLOATS = Tensor(1, "signal", (1, 5), DType.FLOAT32)


# --- made up ---------------------------------------------------------------------------------------------------------


def test_made_inputs_fit_their_tensors() -> None:
    inferences = check_inputs([IMAGE, FLOATS], count=11)
    assert len(inferences) == 11
    for image, signal in inferences:
        assert (image.shape, image.dtype) == ((1, 8, 8, 1), np.int8)
        assert (signal.shape, signal.dtype) == ((1, 5), np.float32)
        assert np.abs(signal).max() <= 4.1


def test_made_inputs_are_the_same_every_time_and_differ_by_seed() -> None:
    def flat(**options: int) -> bytes:
        return b"".join(array.tobytes() for arrays in check_inputs([IMAGE, FLOATS], **options) for array in arrays)

    assert flat() == flat()
    assert flat(seed=1) != flat()
    assert flat(count=20).startswith(flat(count=8))


def test_made_inputs_have_several_amplitudes() -> None:
    arrays = [array.astype(int) for (array,) in check_inputs([int8_tensor((1, 1000), zero=10)])]
    deviations = sorted(float(np.abs(array - 10).mean()) for array in arrays)
    assert deviations[0] == 0  # silence
    assert 0 < deviations[1] < 5  # a whisper
    assert deviations[-1] > 110  # both extremes
    assert len({round(deviation) for deviation in deviations}) >= 6
    assert {-128, 127} <= {int(value) for array in arrays for value in (array.min(), array.max())}


def test_fresh_noise_follows_when_the_patterns_are_used_up() -> None:
    arrays = [array.tobytes() for (array,) in check_inputs([int8_tensor((1, 64), zero=0)], count=40)]
    assert len(set(arrays)) == 40


def test_inputs_of_one_inference_are_not_alike() -> None:
    for first, second in check_inputs([IMAGE, IMAGE]):
        assert not np.array_equal(first, second)


def test_one_element_takes_several_values() -> None:
    assert len({int(array.item()) for (array,) in check_inputs([int8_tensor((1, 1), zero=-128)])}) >= 4


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(InputError, match="int16"):
        check_inputs([Tensor(0, "x", (1, 4), DType.INT16)])


# --- quantize --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "stored"),
    [(0.0, 3), (0.5, 4), (0.25, 3), (0.75, 5), (-0.25, 3), (1e9, 127), (-1e9, -128)],
)
def test_quantize_rounds_ties_to_even_and_clips(real: float, stored: int) -> None:
    """Scale 1/2, zero point 3: 0.25 and 0.75 are ties, rounded to 0 and 2 before the zero point is added."""
    result = quantize(np.array([real], np.float32), int8_tensor((1,), scale=0.5, zero=3))
    assert result.dtype == np.int8
    assert result.tolist() == [stored]


# --- read from a file ------------------------------------------------------------------------------------------------


def saved(path: Path, **arrays: Array) -> Path:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "user.npz"


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (3, 1, 8, 8, 1)])
def test_floats_are_quantized_with_or_without_the_models_batch(file: Path, shape: tuple[int, ...]) -> None:
    values = (np.arange(3 * 64) % 17 / 16).astype(np.float32).reshape(shape)
    inferences, labels = load_inputs(saved(file, inputs=values, labels=np.array([7, 0, 2], np.uint8)), [IMAGE])
    assert [array.shape for (array,) in inferences] == [(1, 8, 8, 1)] * 3
    assert np.array_equal(np.concatenate([array.ravel() for (array,) in inferences]), np.arange(3 * 64) % 17 - 128)
    assert labels is not None
    assert labels.dtype == np.int64
    assert labels.tolist() == [7, 0, 2]


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (8, 8, 1)])
def test_one_inference_needs_no_first_axis(file: Path, shape: tuple[int, ...]) -> None:
    inferences, labels = load_inputs(saved(file, inputs=np.ones(shape)), [IMAGE])
    assert [[array.shape for array in arrays] for arrays in inferences] == [[(1, 8, 8, 1)]]
    assert labels is None


def test_int8_passes_unchanged(file: Path) -> None:
    stored = np.arange(-128, 128, dtype=np.int8).reshape(4, 8, 8, 1)
    inferences, _ = load_inputs(saved(file, inputs=stored), [IMAGE])
    assert np.array_equal(np.concatenate([array for (array,) in inferences]), stored)


def test_a_model_with_a_real_first_axis_keeps_it(file: Path) -> None:
    inferences, _ = load_inputs(saved(file, inputs=np.zeros((5, 2, 3), np.int8)), [int8_tensor((2, 3))])
    assert [array.shape for (array,) in inferences] == [(2, 3)] * 5


@pytest.mark.parametrize("keys", [("image", "signal"), ("input_0", "input_1"), ("image", "input_1")])
def test_several_inputs_are_found_by_name_or_position(file: Path, keys: tuple[str, str]) -> None:
    arrays = {keys[0]: np.ones((2, 8, 8, 1)), keys[1]: np.full((2, 5), 0.3)}
    ((image, signal), _), _ = load_inputs(saved(file, **arrays), [IMAGE, FLOATS])
    assert image.dtype == np.int8
    assert signal.dtype == np.float32
    assert signal.tolist() == [[np.float32(0.3)] * 5]


@pytest.mark.parametrize("key", ["serving_default_image:0", "image"])
def test_tensorflows_decoration_of_names_is_optional(file: Path, key: str) -> None:
    tensor = int8_tensor(name="serving_default_image:0")
    inferences, _ = load_inputs(saved(file, **{key: np.zeros((2, 8, 8, 1))}), [tensor])
    assert len(inferences) == 2


@pytest.mark.parametrize(
    ("arrays", "where", "message", "hint"),
    [
        ({"pixels": np.zeros((2, 8, 8, 1))}, "user.npz", "no key for input 0.*there are: pixels", "'inputs'"),
        ({"inputs": np.zeros((2, 8, 7, 1))}, "user.npz: inputs", r"shape \(2, 8, 7, 1\)", "(N, 8, 8, 1)"),
        ({"inputs": np.zeros((0, 8, 8, 1))}, "user.npz: inputs", "shape", "N inferences"),
        ({"inputs": np.zeros(())}, "user.npz: inputs", "shape", "N inferences"),
        ({"inputs": np.zeros((2, 8, 8, 1), np.uint8)}, "user.npz: inputs", "dtype uint8", "float32"),
        ({"inputs": np.zeros((2, 8, 8, 1), np.complex64)}, "user.npz: inputs", "dtype complex64", "float32"),
        ({"inputs": np.full((2, 8, 8, 1), np.nan)}, "user.npz: inputs", r"the first is \[0\]", "remove"),
        (
            {"inputs": np.zeros((2, 8, 8, 1)), "labels": np.zeros(3, np.int64)},
            "user.npz: labels",
            "expected 2",
            "int64",
        ),
        ({"inputs": np.zeros((2, 8, 8, 1)), "labels": np.zeros(2)}, "user.npz: labels", "float64", "int64"),
        ({"inputs": np.array([{}], object)}, "user.npz", "'inputs' is damaged or holds Python objects", "savez"),
    ],
)
def test_what_does_not_fit_is_named(file: Path, arrays: dict[str, Array], where: str, message: str, hint: str) -> None:
    saved(file, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load_inputs(file, [IMAGE])
    assert caught.value.where == where
    assert hint in caught.value.hint


def test_inputs_must_come_in_equal_numbers(file: Path) -> None:
    saved(file, image=np.zeros((2, 8, 8, 1)), signal=np.zeros((3, 5)))
    with pytest.raises(InputError, match="different numbers of inferences: 2, 3"):
        load_inputs(file, [IMAGE, FLOATS])


def test_floats_for_a_tensor_without_scale_are_refused(file: Path) -> None:
    saved(file, inputs=np.zeros((2, 4)))
    with pytest.raises(InputError, match="no scale"):
        load_inputs(file, [Tensor(0, "x", (1, 4), DType.INT8)])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_inputs(tmp_path / "none.npz", [IMAGE])


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_inputs(tmp_path, [IMAGE])


@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 cut short"])
def test_other_files(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an \.npz file"):
        load_inputs(file, [IMAGE])


def test_a_plain_npy_file(file: Path) -> None:
    with file.open("wb") as stream:
        np.save(stream, np.zeros((2, 8, 8, 1)))
    with pytest.raises(InputError, match=r"is not an \.npz file"):
        load_inputs(file, [IMAGE])


def test_a_zip_of_something_else(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inputs.npy", b"hello")
    with pytest.raises(InputError, match="'inputs'"):
        load_inputs(file, [IMAGE])


def test_damage_anywhere_is_an_error_or_harmless(tmp_path: Path) -> None:
    """Never anything but InputError, whatever byte of the archive is wrong."""
    stream = io.BytesIO()
    np.savez_compressed(stream, inputs=np.random.default_rng(0).random((2, 8, 8, 1)), labels=np.array([1, 2]))
    sound = stream.getvalue()
    rng = np.random.default_rng(1)
    refused = 0
    for trial in range(300):
        damaged = bytearray(sound)
        damaged[int(rng.integers(len(sound)))] ^= int(rng.integers(1, 256))
        path = tmp_path / f"{trial}.npz"
        path.write_bytes(damaged)
        try:
            load_inputs(path, [IMAGE])
        except InputError:
            refused += 1
    assert refused > 100
