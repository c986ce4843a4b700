"""The digits example: its three files belong together, and the int8 model is as good as its README says."""

import re
from pathlib import Path

import numpy as np
import pytest

from tinyml_sdk.bench.inputs import load_inputs
from tinyml_sdk.bench.reference import TflmReference
from tinyml_sdk.graph import DType, read_graph

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "digits"
GRAPH = read_graph(FOLDER / "digits.tflite")


def test_model_is_integer_only_with_a_batch_of_one() -> None:
    assert {tensor.dtype for tensor in GRAPH.tensors} == {DType.INT8, DType.INT32}
    assert [tensor.shape for tensor in GRAPH.input_tensors] == [(1, 8, 8, 1)]
    assert [tensor.shape for tensor in GRAPH.output_tensors] == [(1, 10)]


def test_test_images_are_real_valued_and_of_every_class() -> None:
    with np.load(FOLDER / "digits_test.npz", allow_pickle=False) as archive:
        images, labels = archive["inputs"], archive["labels"]
    assert (images.shape, images.dtype) == ((360, 8, 8, 1), np.float32)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert np.array_equal(np.rint(images * 16), images * 16)
    assert labels.dtype == np.int64
    assert np.bincount(labels).min() >= 34
    assert len(np.bincount(labels)) == 10


def test_files_are_small() -> None:
    assert all(path.stat().st_size < 100_000 for path in FOLDER.iterdir())


@pytest.mark.skipif(not TflmReference.available(), reason="tflite-micro is not installed")
def test_accuracy_is_what_the_readme_says() -> None:
    inputs, labels = load_inputs(FOLDER / "digits_test.npz", GRAPH.input_tensors)
    outputs = TflmReference((FOLDER / "digits.tflite").read_bytes()).run(inputs)
    correct = sum(int(np.argmax(scores)) == label for (scores,), label in zip(outputs, labels, strict=True))
    stated = re.search(r"int8, .*\| (\d+) of 360", (FOLDER / "README.md").read_text())
    assert stated is not None
    assert correct == int(stated[1])
    assert correct / len(labels) >= 0.97
