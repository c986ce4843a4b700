"""Real conversions, by the real TensorFlow: files and models in, int8 that TensorFlow Lite Micro runs out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import QuantizationResult, quantize_model
from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.cli import main
from tinyml_sdk.errors import InputError, ModelError, ToolError
from tinyml_sdk.graph import ABSENT, DType, Graph, Tensor, parse_graph, read_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.quantize.process import Worker

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models")) / "keras"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


def models(folder: Path, code: str) -> None:
    """Make models in a process of its own: TensorFlow stays out of this one. `save(name, layers…)` is there."""
    prelude = """
import numpy as np, keras
from keras import layers as L
keras.utils.set_random_seed(3)
def save(name, *layers): keras.Sequential([keras.Input((16, 8)), *layers], name=name).save(name + ".keras")
"""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def samples(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((count, *shape)).astype(np.float32)


def graph_of(result: QuantizationResult) -> Graph:
    return parse_graph(result.content)


def weights_of(graph: Graph, op_name: str) -> list[Tensor]:
    return [graph.tensors[op.inputs[1]] for op in graph.ops if op.name == op_name]


def assert_int8(result: QuantizationResult) -> None:
    graph = graph_of(result)
    lower_graph(graph)
    for op in graph.ops:
        for index in (*op.inputs, *op.outputs):
            if index != ABSENT:
                tensor = graph.tensors[index]
                assert tensor.dtype is DType.INT8 or (tensor.is_constant and tensor.dtype is DType.INT32)
    assert all(tensor.dtype is DType.INT8 for tensor in (*graph.input_tensors, *graph.output_tensors))


def test_digits_from_keras_to_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command, start to end: as accurate as the published int8 file, and what it says is what it wrote."""
    data = str(DIGITS / "digits_test.npz")
    output, report = tmp_path / "new" / "digits.tflite", tmp_path / "digits.json"
    arguments = ["quantize", str(DIGITS / "digits.keras"), "-c", data, "-o", str(output), "--validation", data]
    assert main([*arguments, "--json", str(report)]) == 0
    out = capsys.readouterr().out
    facts = json.loads(report.read_text())
    content = output.read_bytes()
    assert facts["file_bytes"] == len(content)
    assert facts["parameters"] == 4666
    assert facts["macs"] == 35968
    assert 0 < facts["entropy_bits"] < 8
    assert_int8_bytes(content)
    assert facts["accuracy"]["samples"] == 360
    assert facts["accuracy"]["float"] == pytest.approx(356 / 360)
    if TflmReference.available():
        assert facts["accuracy"]["int8"] >= 0.98
        named = {layer["name"] for layer in facts["layers"]}
        assert {"conv", "depthwise", "pointwise", "conv_wide", "digit"} <= named
        assert all(20 < layer["snr_db"] < 80 for layer in facts["layers"])
        assert "worst layers first" in out


def assert_int8_bytes(content: bytes) -> None:
    graph = parse_graph(content)
    assert {tensor.dtype for tensor in graph.tensors} == {DType.INT8, DType.INT32}


@pytest.mark.parametrize(
    ("granularity", "dense_scales", "conv_scales"),
    [("per-channel", 10, {8, 24, 16}), ("per-tensor-dense", 1, {8, 24, 16}), ("per-tensor", 1, {1})],
)
def test_granularity(granularity: Any, dense_scales: int, conv_scales: set[int]) -> None:
    result = quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", granularity=granularity)
    graph = graph_of(result)

    def scales(tensor: Tensor) -> int:
        assert tensor.quantization is not None
        return len(tensor.quantization.scale)

    assert [scales(tensor) for tensor in weights_of(graph, "FULLY_CONNECTED")] == [dense_scales]
    assert {scales(tensor) for tensor in weights_of(graph, "CONV_2D")} == conv_scales


def test_an_outlier_is_left_out_by_a_percentile_only() -> None:
    """One pixel of 1000 makes all else coarse. Its squared error outweighs all rounding, so `mse` keeps it."""
    with np.load(DIGITS / "digits_test.npz") as archive:
        images, labels = archive["inputs"], archive["labels"]
    spoilt = images.copy()
    spoilt[0, 0, 0, 0] = 1000.0
    scales, accuracy = {}, {}
    for method in ("minmax", "percentile", "mse"):
        result = quantize_model(
            DIGITS / "digits.keras",
            spoilt,
            method=method,  # type: ignore[arg-type]
            percentile=99.9,
            validation={"inputs": images, "labels": labels},
        )
        scales[method] = graph_of(result).input_tensors[0].scale
        accuracy[method] = result.accuracy.int8 if result.accuracy else None
        assert (result.ranges.clipped > 0) == (method != "minmax")
    assert scales["minmax"] == pytest.approx(1000 / 255)
    assert scales["percentile"] == pytest.approx(1 / 255, rel=0.01)
    assert scales["mse"] == scales["minmax"]
    if TflmReference.available():
        assert accuracy["minmax"] < 0.5  # type: ignore[operator]
        assert accuracy["percentile"] > 0.97  # type: ignore[operator]


def test_minmax_is_the_converters_own(tmp_path: Path) -> None:
    """Stopping it half-way changes nothing: scales and constants of every op are those of `TFLiteConverter.convert`."""
    code = """
import sys, pathlib, numpy as np, tensorflow as tf
from tinyml_sdk.quantize.loading import load_model
model = load_model(pathlib.Path(sys.argv[1]), "digits")
with np.load(sys.argv[2]) as archive: images = archive["inputs"][:50]
converter = model.converter()
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([image[None]] for image in images)
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
pathlib.Path(sys.argv[3]).write_bytes(converter.convert())
"""
    model, data, plain = DIGITS / "digits.keras", DIGITS / "digits_test.npz", tmp_path / "plain.tflite"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, str(model), str(data), str(plain)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    with np.load(data) as archive:
        ours = graph_of(quantize_model(model, archive["inputs"][:50]))
    theirs = read_graph(plain)
    assert [op.name for op in ours.ops] == [op.name for op in theirs.ops]
    for our, their in zip(ours.ops, theirs.ops, strict=True):
        for index, other in zip((*our.inputs, *our.outputs), (*their.inputs, *their.outputs), strict=True):
            assert ours.tensors[index].quantization == theirs.tensors[other].quantization
            assert np.array_equal(ours.tensors[index].data, theirs.tensors[other].data)  # type: ignore[arg-type]


def test_the_same_job_gives_the_same_bytes() -> None:
    """In a process that did others before, and in a fresh one."""
    job = (DIGITS / "digits.keras", DIGITS / "digits_test.npz")
    first = quantize_model(*job, method="mse")
    with Worker() as fresh:
        second = quantize_model(*job, method="mse", worker=fresh)
    assert first.content == second.content


@pytest.mark.parametrize(
    ("name", "shape", "parameters", "macs"),
    [
        ("ad", (640,), 269_992, 264_192),
        ("ic", (32, 32, 3), 78_666, 12_501_632),
        ("vww", (96, 96, 3), 221_794, 7_489_664),
    ],
)
def test_files_of_keras_2(name: str, shape: tuple[int, ...], parameters: int, macs: int) -> None:
    path = CORPUS / f"mlperf_tiny_{name}.h5"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    result = quantize_model(path, np.random.default_rng(0).random((12, *shape), np.float32))
    assert_int8(result)
    assert result.parameters == parameters
    # On noise many channels are quantized to a constant, and those are not computed.
    assert 0.4 * macs < result.macs <= macs
    assert result.ranges.exact >= 2 * result.ranges.tied
    if TflmReference.available():
        assert all(layer.snr_db > 5 for layer in result.layers)


BRANCHES = """
i = keras.Input((16, 16, 3))
x = L.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(i); x = L.BatchNormalization()(x); x = L.ReLU()(x)
y = L.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable")(x); y = L.BatchNormalization()(y)
x = L.ReLU(6.0)(L.Add(name="residual")([x, y]))
s = L.GlobalAveragePooling2D(keepdims=True)(x); s = L.Conv2D(4, 1, activation="relu", name="squeeze")(s)
s = L.Conv2D(8, 1, activation="sigmoid", name="excite")(s); x = L.Multiply()([x, s])
x = L.AveragePooling2D(2)(L.Concatenate()([x, y])); x = L.GlobalAveragePooling2D()(x)
m = keras.Model(i, L.Dense(4, activation="softmax", name="classes")(x))
m.save("branches.keras"); m.export("branches", verbose=False)
"""


def test_residual_separable_and_squeeze_and_excite(tmp_path: Path) -> None:
    """By every method, from a Keras file and from a SavedModel: the same numbers."""
    models(tmp_path, BRANCHES)
    data = samples(40, 16, 16, 3)
    for method in ("minmax", "percentile", "mse"):
        result = quantize_model(tmp_path / "branches.keras", data, method=method)  # type: ignore[arg-type]
        assert_int8(result)
        if TflmReference.available():
            assert {"stem", "separable", "squeeze", "excite", "classes"} <= {layer.name for layer in result.layers}
            assert all(layer.snr_db > 20 for layer in result.layers)
    keras = graph_of(quantize_model(tmp_path / "branches.keras", data))
    saved = graph_of(quantize_model(tmp_path / "branches", data))
    assert [op.name for op in saved.ops] == [op.name for op in keras.ops]
    for ours, theirs in zip(saved.ops, keras.ops, strict=True):
        assert saved.tensors[ours.outputs[0]].scale == pytest.approx(keras.tensors[theirs.outputs[0]].scale, rel=1e-4)


def test_inputs_outputs_and_what_was_adapted_are_kept(tmp_path: Path) -> None:
    """The order and names of both; mean and deviation of a `Normalization`, which are no plain weights."""
    models(
        tmp_path,
        """
a, b = keras.Input((8,), name="zeta"), keras.Input((4,), name="alpha")
outputs = [L.Dense(3, name="first")(L.Dense(5)(a)), L.Dense(2, name="second")(L.Dense(6)(b))]
keras.Model([a, b], outputs).save("two.keras")
normal = L.Normalization(name="normal")
normal.adapt(3 + 2 * np.random.default_rng(0).standard_normal((100, 16, 8)))
save("adapted", normal, L.Flatten(), L.Dense(8, activation="relu"), L.Dense(4))
""",
    )
    data = {"alpha": samples(20, 4), "zeta": 100 * samples(20, 8)}
    result = quantize_model(tmp_path / "two.keras", data)
    graph = graph_of(result)
    assert [tensor.shape for tensor in graph.input_tensors] == [(1, 8), (1, 4)]
    assert [tensor.shape for tensor in graph.output_tensors] == [(1, 3), (1, 2)]
    assert graph.input_tensors[0].scale > 10 * graph.input_tensors[1].scale
    if TflmReference.available():
        assert {"first", "second"} <= {layer.name for layer in result.layers}
        assert all(layer.snr_db > 25 for layer in result.layers)
    inputs = 3 + 2 * samples(40, 16, 8)
    adapted = graph_of(quantize_model(tmp_path / "adapted.keras", inputs))
    products = [adapted.tensors[op.outputs[0]] for op in adapted.ops if op.name == "MUL"]
    # The whole of it: a product with 1 / 2 of what is left once 3 is subtracted.
    assert [product.scale for product in products] == [pytest.approx(np.ptp(inputs) / 2 / 255, rel=0.1)]
    assert abs(products[0].zero_point) < 30


def test_models_that_cannot_be_quantized(tmp_path: Path) -> None:
    models(
        tmp_path,
        """
save("elu", L.Conv1D(4, 3, activation="elu", name="bent")); save("norm", L.LayerNormalization(name="norm"))
save("wide", L.Conv1D(4, 3, activation="gelu")); save("code", L.Lambda(lambda x: x * 2))
keras.Sequential([keras.Input((None, 8)), L.Conv1D(4, 3)], name="open").save("open.keras")
class Mine(L.Layer):
    def call(self, x): return 2 * x
save("mine", Mine())
class Sub(keras.Model):
    def __init__(self): super().__init__(); self.dense = L.Dense(3)
    def call(self, x): return self.dense(x)
sub = Sub(); sub(np.zeros((1, 16, 8), "float32")); sub.save("sub.keras"); sub.export("sub", verbose=False)
broken = keras.Sequential([keras.Input((16, 8)), L.Dense(3, name="broken")]); w = broken.get_weights()
w[0][0, 0] = np.nan; broken.set_weights(w); broken.save("nan.keras")
broken.save_weights("only.weights.h5")
keras.Sequential([keras.Input((16, 8)), L.GRU(3)]).export("loop", verbose=False)
""",
    )
    data = samples(12, 16, 8)
    refused = {
        "loop": (InputError, "is a loop"),
        "elu.keras": (ModelError, r"layer 'bent': stayed float32 \(ELU\)"),
        "norm.keras": (ModelError, "layer 'norm': stayed float32"),
        "wide.keras": (ModelError, r"op \d+ \(GELU\): this operator is not supported"),
        "code.keras": (InputError, "Lambda"),
        "open.keras": (InputError, "only the batch may be open"),
        "mine.keras": (InputError, "'Mine' that is not Keras's own"),
        "sub.keras": (InputError, "'Sub' that is not Keras's own"),
        "nan.keras": (InputError, "broken/kernel: has weights that are NaN"),
        "only.weights.h5": (InputError, "holds weights only"),
    }
    for name, (kind, said) in refused.items():
        with pytest.raises(kind, match=said) as caught:
            quantize_model(tmp_path / name, data)
        assert caught.value.where.startswith(name.partition(".")[0]), name
        assert caught.value.hint
    assert_int8(quantize_model(tmp_path / "sub", data))  # what the hint says works


def test_bad_data_and_the_deadline(tmp_path: Path) -> None:
    model, data = DIGITS / "digits.keras", samples(12, 8, 8, 1)
    with pytest.raises(InputError, match="too few"):
        quantize_model(model, data[:9])
    with pytest.raises(InputError, match="labels from 0 to 10 for a model with 10 classes"):
        quantize_model(model, data, validation={"inputs": data, "labels": np.arange(12) % 11})
    with pytest.raises(ToolError, match=r"no result within 0\.05 s"):
        quantize_model(model, data, deadline=0.05)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot write"):
        quantize_model(model, data, output=tmp_path / "file" / "m.tflite")


def test_a_model_in_memory() -> None:
    """In a process of its own, as it must import Keras."""
    code = """
import keras, numpy as np
from tinyml_sdk import quantize_model
layers = [keras.Input((4,), name="the start"), keras.layers.Dense(3, name="the end")]
model = keras.Sequential(layers, name="_small model")
result = quantize_model(model, np.linspace(-1, 1, 80, dtype="float32").reshape(20, 4))
print(result.source, result.parameters, len(result.content) == result.file_bytes)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["_small_model.keras", "15", "True"], done.stderr[-2000:]
