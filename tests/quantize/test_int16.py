"""Int16 activations with int8 weights: every tensor as asked, and one clear answer from what cannot run it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import quantize_model
from tinyml_sdk.bench.inputs import quantize
from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.cli import main
from tinyml_sdk.errors import InputError, ModelError, ToolError
from tinyml_sdk.graph import DType, Graph, Op, Quantization, Tensor, parse_graph, read_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.quantize.checking import check_integer_only, check_ranges
from tinyml_sdk.report.console import render
from tinyml_sdk.report.quantization import quantization_report

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"


def tensor(index: int, dtype: DType = DType.INT16, *, zero_point: int = 0, scale: float = 0.1) -> Tensor:
    return Tensor(index, f"t{index}", (1, 4), dtype, Quantization((scale,), (zero_point,)))


def graph_of(*tensors: Tensor) -> Graph:
    return Graph("g", "g.tflite", "", 0, tensors, (Op(0, "RELU", 1, (0,), (1,)),), (0,), (1,))


def test_dtypes_and_zero_points() -> None:
    check_integer_only(graph_of(tensor(0), tensor(1)), activations="int16")
    with pytest.raises(ModelError, match=r"stayed int16 \(RELU\)"):
        check_integer_only(graph_of(tensor(0), tensor(1)))
    with pytest.raises(ModelError, match=r"stayed int8 \(RELU\)"):
        check_integer_only(graph_of(tensor(0, DType.INT8), tensor(1)), activations="int16")
    with pytest.raises(ModelError, match="t1: has zero point -1"):
        check_integer_only(graph_of(tensor(0), tensor(1, zero_point=-1)), activations="int16")


def test_kernels_are_int8() -> None:
    def dense(dtype: DType) -> Graph:
        kernel = Tensor(1, "w", (4, 4), dtype, Quantization((0.1,), (0,)), np.zeros((4, 4), dtype.numpy))
        op = Op(0, "FULLY_CONNECTED", 1, (0, 1), (2,))
        return Graph("g", "g.tflite", "", 0, (tensor(0), kernel, tensor(2)), (op,), (0,), (2,))

    check_integer_only(dense(DType.INT8), activations="int16")
    with pytest.raises(ModelError, match=r"stayed int16 \(FULLY_CONNECTED\)"):
        check_integer_only(dense(DType.INT16), activations="int16")


def test_ranges_are_symmetric() -> None:
    graph = graph_of(tensor(0, scale=2 / 32767), tensor(1, scale=3 / 32767))
    ranges = {"t0": (-2.0, 1.0), "t1": (0.0, 3.0)}
    found = check_ranges(graph, ranges, ranges, strict=True)
    assert (found.exact, found.tied) == (2, 0)


def test_reals_are_stored_as_int16() -> None:
    stored = quantize(np.array([0.0, 0.25, -1e9, 1e9]), tensor(0, scale=0.1))
    assert stored.dtype == np.int16
    assert stored.tolist() == [0, 2, -32768, 32767]


def test_our_kernels_refuse_it_once() -> None:
    with pytest.raises(ModelError, match=r"g\.tflite: op 0 \(RELU\): has int16 activations") as caught:
        lower_graph(graph_of(tensor(0), tensor(1)))
    assert "int8 activations" in caught.value.hint


def test_ranges_can_only_be_those_seen() -> None:
    with pytest.raises(InputError, match="int16 activations with ranges by mse"):
        quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", activations="int16", method="mse")
    with pytest.raises(InputError, match="'int4' is no dtype of activations"):
        quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", activations="int4")  # type: ignore[arg-type]


@pytest.mark.slow
def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command, start to end; then all that reads the file and cannot run it."""
    require_tool("tensorflow")
    data, output = str(DIGITS / "digits_test.npz"), tmp_path / "digits.tflite"
    arguments = ["quantize", str(DIGITS / "digits.keras"), "-c", data, "-o", str(output), "--validation", data]
    assert main([*arguments, "--activations", "int16"]) == 0
    assert "runs on" in capsys.readouterr().out
    graph = read_graph(output)
    for op in graph.ops:
        kernel = graph.tensors[op.inputs[1]] if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") else None
        assert kernel is None or kernel.dtype is DType.INT8
        for index in op.outputs:
            assert graph.tensors[index].dtype is DType.INT16
            assert graph.tensors[index].zero_point == 0
    for command in (["inspect"], ["generate", "-o", str(tmp_path / "c")], ["bench", "--board", "mps2-an386"]):
        assert main([command[0], str(output), *command[1:]]) == 2
        assert "int16 activations" in capsys.readouterr().err


@pytest.mark.slow
def test_digits_are_finer_and_as_accurate() -> None:
    require_tool("tensorflow")
    data = DIGITS / "digits_test.npz"
    fine = quantize_model(DIGITS / "digits.keras", data, activations="int16", validation=data)
    coarse = quantize_model(DIGITS / "digits.keras", data)
    assert (fine.macs, fine.ranges.clipped, fine.not_run) == (coarse.macs, 0, None)
    assert fine.to_dict()["activations"] == "int16"
    # Biases are int64 here; there are no multipliers and shifts written as C.
    weights = [t for t in parse_graph(fine.content).tensors if t.is_constant and t.dtype is DType.INT8]
    assert sum(weight.bytes for weight in weights) < fine.weight_bytes < coarse.weight_bytes
    if TflmReference.available():
        assert fine.accuracy is not None
        assert fine.accuracy.int8 == pytest.approx(fine.accuracy.keras)
        # Not in every layer: the weights' rounding is the same in both, and by chance either may make up for it.
        (worst, *_), (coarse_worst, *_) = fine.worst_layers(), coarse.worst_layers()
        assert worst.snr_db > coarse_worst.snr_db + 1
    text = render(quantization_report(fine), io.StringIO())
    assert "int16 activations, int8 weights" in text
    refused = render(quantization_report(replace(fine, layers=(), not_run="it gave up")), io.StringIO())
    assert "was not run: it gave up" in refused


@pytest.mark.slow
def test_per_tensor_depthwise_layers_are_beyond_the_converter() -> None:
    require_tool("tensorflow")
    with pytest.raises(ModelError, match="converter refused the model") as caught:
        quantize_model(
            DIGITS / "digits.keras", DIGITS / "digits_test.npz", activations="int16", granularity="per-tensor"
        )
    assert "use per-channel weights" in caught.value.hint


@pytest.mark.slow
def test_an_interpreter_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is good all the same; with int8 it would be an error."""
    require_tool("tensorflow")

    def refuse(*_: object) -> None:
        raise ToolError("no int16 here", hint="none")

    monkeypatch.setattr(TflmReference, "intermediates", refuse)
    monkeypatch.setattr(TflmReference, "available", lambda: True)
    result = quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", activations="int16")
    assert (result.not_run, result.layers) == ("no int16 here", ())
    with pytest.raises(ToolError, match="no int16 here"):
        quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz")


@pytest.mark.slow
def test_it_is_the_converters_own(tmp_path: Path) -> None:
    """Going on from the calibrated file gives what `TFLiteConverter.convert` gives at once: scales and constants."""
    require_tool("tensorflow")
    code = """
import sys, pathlib, numpy as np, tensorflow as tf
from tinyml_sdk.quantize.loading import load_model
model = load_model(pathlib.Path(sys.argv[1]), "digits")
with np.load(sys.argv[2]) as archive: images = archive["inputs"][:50]
converter = model.converter()
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([image[None]] for image in images)
converter.target_spec.supported_ops = [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int16
pathlib.Path(sys.argv[3]).write_bytes(converter.convert())
"""
    model, data, plain = DIGITS / "digits.keras", DIGITS / "digits_test.npz", tmp_path / "plain.tflite"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, str(model), str(data), str(plain)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    with np.load(data) as archive:
        ours = parse_graph(quantize_model(model, archive["inputs"][:50], activations="int16").content)
    theirs = read_graph(plain)
    assert [op.name for op in ours.ops] == [op.name for op in theirs.ops]
    for our, their in zip(ours.ops, theirs.ops, strict=True):
        for index, other in zip((*our.inputs, *our.outputs), (*their.inputs, *their.outputs), strict=True):
            assert ours.tensors[index].quantization == theirs.tensors[other].quantization
            assert np.array_equal(ours.tensors[index].data, theirs.tensors[other].data)  # type: ignore[arg-type]
