"""The gesture example: its files belong together, and the int8 model is as good as its README says."""

from __future__ import annotations

import re
from pathlib import Path

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
