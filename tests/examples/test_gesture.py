"""The gesture example: its files belong together, and the int8 model is as good as its README says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.graph import DType, read_graph

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "gesture"
GRAPH = read_graph(FOLDER / "gesture.tflite")
WINDOWS = {"gesture_test.npz": 749, "gesture_calibration.npz": 128}


def test_model_is_integer_only_with_a_batch_of_one() -> None:
    assert {tensor.dtype for tensor in GRAPH.tensors} == {DType.INT8, DType.INT32}
    assert [tensor.shape for tensor in GRAPH.input_tensors] == [(1, 100, 6)]
    assert [tensor.shape for tensor in GRAPH.output_tensors] == [(1, 7)]


def test_input_is_fixed_point() -> None:
    """The firmware gets int8 = 64 times the value, nothing added."""
    (tensor,) = GRAPH.input_tensors
    assert tensor.scale * 64 == pytest.approx(1, rel=1e-6)
    assert tensor.zero_point == 0


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_are_what_the_firmware_sees(name: str) -> None:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        windows, labels = archive["inputs"], archive["labels"]
    assert (windows.shape, windows.dtype) == ((WINDOWS[name], 100, 6), np.float16)
    assert (windows.min(), windows.max()) == (-2, 2 - 1 / 64)
    assert np.array_equal(np.rint(windows * 64), windows * 64)
    gravity = np.linalg.norm(windows[..., :3].astype(np.float32), axis=-1)
    assert np.median(gravity) == pytest.approx(1, abs=0.1)
    assert labels.dtype == np.int64
    assert np.bincount(labels, minlength=7).min() >= 10


def test_files_are_small() -> None:
    assert all(path.stat().st_size < 500_000 for path in FOLDER.iterdir() if path.is_file())


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("gesture_train", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_windows_are_cut_whole(script: Any) -> None:
    recordings = [script.Recording(np.full((length, 6), length), length % 7, 1) for length in (99, 100, 249)]
    windows, labels, subjects = script.cut(recordings, 50)
    assert windows.shape == (4, 100, 6)
    assert windows[:, 0, 0].tolist() == [100, 249, 249, 249]
    assert labels.tolist() == [2, 4, 4, 4]
    assert subjects.tolist() == [1, 1, 1, 1]


def test_a_turned_window_is_the_same_movement(script: Any) -> None:
    """Lengths and angles between samples stay, but for the pace; nothing turns by more than 45 degrees."""
    rng = np.random.default_rng(1)
    signals = rng.standard_normal((50, 100, 6))
    turned = script.turn(signals, rng)
    before, after = signals[..., :3], turned[..., :3]
    assert np.allclose(after @ after.swapaxes(1, 2), before @ before.swapaxes(1, 2))
    lengths = np.linalg.norm(before, axis=-1)
    assert (np.sum(before * after, axis=-1) >= lengths**2 * np.cos(np.radians(45)) - 1e-9).all()
    pace = np.linalg.norm(turned[..., 3:], axis=-1) / np.linalg.norm(signals[..., 3:], axis=-1)
    assert np.allclose(pace, pace[:, :1])
    assert 0.7 <= pace.min() < pace.max() <= 1.3
    rates = [motion / np.linalg.norm(motion, axis=-1, keepdims=True) for motion in (signals[..., 3:], turned[..., 3:])]
    across = [np.sum(rate * motion, axis=-1) for rate, motion in zip(rates, (before, after), strict=True)]
    assert np.allclose(*across)  # both sensors turn together


def test_inputs_are_rounded_and_limited(script: Any) -> None:
    assert script.as_inputs(np.array([1.003, -9.0, 9.0, 4.0, -0.05, 0.0])).tolist() == [1, -2, 127 / 64, 1, -1 / 64, 0]


@pytest.mark.slow
def test_committed_windows_are_the_scripts(script: Any) -> None:
    """The data comes from PyPI the first time."""
    split = script.load_split(turned_copies=0)
    assert split.train_windows.shape == (3193, 100, 6)
    assert set(split.train_subjects) == {1, 2, 3, 4, 5, 6, 7}
    with np.load(FOLDER / "gesture_test.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["inputs"].astype(np.float32), split.test_windows)
        assert np.array_equal(archive["labels"], split.test_labels)


@pytest.mark.slow
def test_bit_exact_and_as_accurate_as_the_readme_says() -> None:
    require_tool("ziglang")
    require_tool("unicorn")
    result = benchmark(FOLDER / "gesture.tflite", board="mps2-an386", inputs=FOLDER / "gesture_test.npz")
    assert result.check.bit_exact
    assert result.accuracy is not None
    stated = re.search(r"int8, .*\| (\d+) of 749", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert stated is not None
    assert result.accuracy.device * 749 == pytest.approx(int(stated[1]))
