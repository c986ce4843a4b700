"""The reference interpreter: right answers for sound models, one clear error for all others."""

import contextlib
import os
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import TflmReference
from tinyml_sdk.errors import MissingToolError, ToolError
from tinyml_sdk.graph import Graph, parse_graph

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models"))
MODEL = (ROOT / "examples/digits/digits.tflite").read_bytes()
GRAPH = parse_graph(MODEL)

needs_wheel = pytest.mark.skipif(not TflmReference.available(), reason="tflite-micro is not installed")


def produced(graph: Graph) -> list[int]:
    return [index for op in graph.ops for index in op.outputs]


@needs_wheel
def test_outputs_have_the_models_shapes_and_depend_on_the_input_alone() -> None:
    reference = TflmReference(MODEL)
    inputs = check_inputs(GRAPH.input_tensors)
    results = reference.run(inputs)
    assert len(results) == len(inputs)
    for (output,) in results:
        assert (output.shape, output.dtype) == ((1, 10), np.int8)
        # Softmax: the ten probabilities, scaled by 1/256 from -128, add up to one but for rounding.
        assert abs(int((output.astype(int) + 128).sum()) - 256) <= 5
    again = reference.run(inputs[::-1])[::-1]
    assert all(np.array_equal(a, b) for (a,), (b,) in zip(results, again, strict=True))


@needs_wheel
def test_version_is_the_wheels() -> None:
    assert re.match(r"\d", TflmReference.version())


@needs_wheel
def test_nothing_to_run_starts_nothing() -> None:
    assert TflmReference(b"no model").run([]) == []
    assert TflmReference(b"no model").intermediates([], []) == []


@needs_wheel
def test_intermediates_cover_inputs_constants_and_every_layer() -> None:
    reference = TflmReference(MODEL)
    (inputs,) = check_inputs(GRAPH.input_tensors, count=1)
    values = reference.intermediates(inputs, range(len(GRAPH.tensors)))
    for tensor, value in zip(GRAPH.tensors, values, strict=True):
        assert value.shape == tensor.shape
        assert value.dtype == tensor.dtype.numpy
        if tensor.data is not None:
            assert np.array_equal(value, tensor.data)
    assert np.array_equal(values[GRAPH.inputs[0]], inputs[0])
    assert np.array_equal(values[GRAPH.outputs[0]], reference.run([inputs])[0][0])


@needs_wheel
def test_intermediates_obey_the_arithmetic_between_them() -> None:
    """Max pooling and reshape have no rounding: their outputs follow from their inputs."""
    (inputs,) = check_inputs(GRAPH.input_tensors, count=1)
    pool = next(op for op in GRAPH.ops if op.name == "MAX_POOL_2D")
    reshape = next(op for op in GRAPH.ops if op.name == "RESHAPE")
    before, pooled, flat, source = TflmReference(MODEL).intermediates(
        inputs, [pool.inputs[0], pool.outputs[0], reshape.outputs[0], reshape.inputs[0]]
    )
    assert len(np.unique(before)) > 10
    assert np.array_equal(before.reshape(1, 4, 2, 4, 2, 24).max(axis=(2, 4)), pooled)
    assert np.array_equal(source.ravel(), flat.ravel())


@needs_wheel
@pytest.mark.parametrize(
    ("index", "message"), [(len(GRAPH.tensors), "there is no tensor"), (-1, "there is no tensor"), (10**9, "no tensor")]
)
def test_a_tensor_that_does_not_exist_is_an_error(index: int, message: str) -> None:
    (inputs,) = check_inputs(GRAPH.input_tensors, count=1)
    with pytest.raises(ToolError, match=message):
        TflmReference(MODEL).intermediates(inputs, [index])


@needs_wheel
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([np.zeros((1, 8, 8, 1), np.float32)], "after 0 of 1 inferences: ValueError: .*FLOAT32"),
        ([np.zeros((1, 8, 7, 1), np.int8)], "Got 7 but expected 8"),
        ([np.zeros((1, 8, 8, 1), np.int8)] * 2, "out of bound"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs: list[np.ndarray], message: str) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        TflmReference(MODEL).run([inputs])
    assert caught.value.hint


@needs_wheel
def test_an_error_says_how_far_it_came() -> None:
    good, bad = [np.zeros((1, 8, 8, 1), np.int8)], [np.zeros((1, 8, 8, 2), np.int8)]
    with pytest.raises(ToolError, match="after 2 of 4 inferences"):
        TflmReference(MODEL).run([good, good, bad, good])


@needs_wheel
@pytest.mark.parametrize("model", [b"", b"\xff" * 500, MODEL[:1000], MODEL[:-2000], b"\x00" * 20_000])
def test_a_file_that_is_no_model_is_an_error(model: bytes) -> None:
    with pytest.raises(ToolError, match=r"tflite-micro: .* after 0 of 1"):
        TflmReference(model).run([[np.zeros((1, 8, 8, 1), np.int8)]])


@needs_wheel
def test_deadline() -> None:
    with pytest.raises(ToolError, match=r"no answer within 0\.001 s"):
        TflmReference(MODEL, deadline=0.001).run(check_inputs(GRAPH.input_tensors))


@needs_wheel
def test_an_interpreter_that_reads_wild_memory_dies_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operand index far beyond the tensors, which TFLM does not check."""
    monkeypatch.chdir(tmp_path)
    operands = struct.pack("<4i", 3, *GRAPH.ops[0].inputs)
    assert MODEL.count(operands) == 1
    wild = MODEL.replace(operands, struct.pack("<4i", 3, 0x00FF_FFFF, *GRAPH.ops[0].inputs[1:]))
    with pytest.raises(ToolError, match=r"died of SIG[A-Z]+ after 0 of 1 inferences"):
        TflmReference(wild).run([[np.zeros((1, 8, 8, 1), np.int8)]])
    assert not list(tmp_path.iterdir())  # no core file


@needs_wheel
@pytest.mark.slow
def test_damaged_models_run_or_raise() -> None:
    rng = np.random.default_rng(3)
    ran = 0
    for changes in [1, 4, 16] * 15:
        damaged = np.frombuffer(MODEL, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), changes)] = rng.integers(0, 256, changes)
        with contextlib.suppress(ToolError):
            TflmReference(damaged.tobytes(), deadline=30).run([[np.zeros((1, 8, 8, 1), np.int8)]])
            ran += 1
    assert 5 < ran < 45


def test_a_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)  # Python's own way to make a package not importable
    assert not TflmReference.available()
    with pytest.raises(MissingToolError) as caught:
        TflmReference(MODEL).run([[np.zeros((1, 8, 8, 1), np.int8)]])
    assert "tinyml-sdk[reference]" in caught.value.hint


@needs_wheel
@pytest.mark.slow
@pytest.mark.parametrize("name", ["kws", "ic", "vww", "ad"])
def test_mlperf_models(name: str) -> None:
    path = CORPUS / "mlperf_tiny" / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    content = path.read_bytes()
    graph = parse_graph(content, path.name)
    reference = TflmReference(content)
    inputs = check_inputs(graph.input_tensors)
    results = reference.run(inputs)
    assert len({output.tobytes() for (output,) in results}) >= 4
    *_, last = reference.intermediates(inputs[0], produced(graph))
    assert np.array_equal(last, results[0][0])


@needs_wheel
@pytest.mark.slow
def test_state_does_not_reach_the_next_inference() -> None:
    """The streaming wake word keeps its past in variables: the same input again gives the same output."""
    path = CORPUS / "micro_wake_word" / "okay_nabu_v2.tflite"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    loud = [np.full((1, 3, 40), 100, np.int8)]
    quiet = [np.full((1, 3, 40), -128, np.int8)]
    results = TflmReference(path.read_bytes()).run([loud, quiet, loud, loud, quiet])
    values = [int(output.item()) for (output,) in results]
    assert values[0] == values[2] == values[3]
    assert values[1] == values[4]
