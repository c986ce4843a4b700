"""The speakers example: its files belong together, and the int8 LSTM is as good as its README says, also on a board."""

import re
from pathlib import Path

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.bench.inputs import load_inputs
from tinyml_sdk.bench.reference import TflmReference
from tinyml_sdk.graph import DType, read_graph

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "speakers"
GRAPH = read_graph(FOLDER / "speakers.tflite")


def test_model_is_one_integer_lstm_and_a_classifier() -> None:
    assert [op.name for op in GRAPH.ops] == [
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "STRIDED_SLICE",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    assert sorted(GRAPH.tensors[index].dtype for index in GRAPH.variables) == [DType.INT16, DType.INT8]
    assert [tensor.shape for tensor in GRAPH.input_tensors] == [(1, 29, 12)]
    assert [tensor.shape for tensor in GRAPH.output_tensors] == [(1, 9)]


def test_test_utterances_are_of_every_speaker() -> None:
    with np.load(FOLDER / "speakers_test.npz", allow_pickle=False) as archive:
        inputs, labels = archive["inputs"], archive["labels"]
    assert (inputs.shape, inputs.dtype) == ((370, 29, 12), np.float32)
    assert np.bincount(labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = (inputs != 0).any(axis=2).sum(axis=1)
    assert (lengths.min(), lengths.max()) == (7, 29)


def test_files_are_small() -> None:
    assert all(path.stat().st_size < 300_000 for path in FOLDER.iterdir())


@pytest.mark.skipif(not TflmReference.available(), reason="tflite-micro is not installed")
def test_accuracy_is_what_the_readme_says() -> None:
    inputs, labels = load_inputs(FOLDER / "speakers_test.npz", GRAPH.input_tensors)
    outputs = TflmReference((FOLDER / "speakers.tflite").read_bytes()).run(inputs)
    correct = sum(int(np.argmax(scores)) == label for (scores,), label in zip(outputs, labels, strict=True))
    stated = re.search(r"int8, in .*\| (\d+) of 370", (FOLDER / "README.md").read_text())
    assert stated is not None
    assert correct == int(stated[1])
    assert correct / len(labels) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
def test_the_board_agrees_with_the_reference(toolchain: str) -> None:
    for tool in ("unicorn", "tflite_micro", {"zig": "ziglang", "gnu_arm": "arm-none-eabi-gcc"}[toolchain]):
        require_tool(tool)
    result = benchmark(
        FOLDER / "speakers.tflite", board="mps2-an386", toolchain=toolchain, inputs=FOLDER / "speakers_test.npz"
    )
    assert result.check.bit_exact
    assert result.check.inputs == 370
