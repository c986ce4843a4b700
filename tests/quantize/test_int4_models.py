"""int4 weights of real Keras models, converted by the real TensorFlow, run by TensorFlow Lite Micro."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.tools import require_tool

from tinyml_sdk import quantize_model
from tinyml_sdk.bench.inputs import quantize
from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.cli import main
from tinyml_sdk.errors import InputError
from tinyml_sdk.graph import Graph, Tensor, parse_graph, read_graph

ROOT = Path(__file__).resolve().parents[2]
DIGITS, SPEAKERS = ROOT / "examples" / "digits", ROOT / "examples" / "speakers"
KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def weights_of(graph: Graph) -> list[Tensor]:
    return [graph.tensors[op.inputs[1]] for op in graph.ops if op.name in KERNELS]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "int2"}, "'int2' is no dtype of weights"),
        ({"keep_int8": ["conv"]}, "layers to keep int8, where all are int8"),
        ({"min_snr": 20.0}, "a least signal-to-noise, where all are int8"),
        ({"weights": "int4", "activations": "int16"}, "int4 weights with int16 activations"),
        ({"weights": "int4", "min_snr": float("nan")}, "a least signal-to-noise of nan"),
        ({"weights": "int4", "keep_int8": "conv"}, "keep_int8 is a string"),
    ],
)
def test_wrong_options(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quantize_model(DIGITS / "digits.keras", DIGITS / "digits_test.npz", **options)


@pytest.mark.slow
def test_digits_from_keras_to_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command, start to end, with a layer of each kind left out."""
    require_tool("tensorflow")
    data, output, report = str(DIGITS / "digits_test.npz"), tmp_path / "digits.tflite", tmp_path / "digits.json"
    arguments = ["quantize", str(DIGITS / "digits.keras"), "-c", data, "-o", str(output), "--weights", "int4"]
    assert main([*arguments, "--validation", data, "--json", str(report), "--keep-int8", "first"]) == 0
    out = capsys.readouterr().out
    facts = json.loads(report.read_text())
    graph = read_graph(output)
    assert [tensor.packed for tensor in weights_of(graph)] == [False, True, True, True, True]
    assert [layer["bits"] for layer in facts["layer_weights"]] == [8, 4, 4, 4, 4]
    assert [layer["name"] for layer in facts["layer_weights"]] == [
        *("conv", "depthwise", "pointwise", "conv_wide", "digit")
    ]
    assert all(10 < layer["snr_db"] < 30 for layer in facts["layer_weights"])
    assert facts["weight_bytes_for_size"] < facts["weight_bytes"]
    assert "int8: asked for" in out
    assert "4,360 of 4,432 are int4" in out
    if TflmReference.available():
        assert facts["accuracy"]["int8"] >= 0.96

    # What the report calls noise decides.
    noisy = min(facts["layer_weights"], key=lambda layer: layer["snr_db"])
    assert main([*arguments, "--min-snr", str(noisy["snr_db"] + 0.01)]) == 0
    assert f"{noisy['name']}  " in capsys.readouterr().out
    assert [tensor.packed for tensor in weights_of(read_graph(output))].count(False) == 1

    before = output.read_bytes()
    assert main([*arguments, "--keep-int8", "nix"]) == 2
    assert "there is no layer 'nix'" in capsys.readouterr().err
    assert output.read_bytes() == before


@pytest.mark.slow
def test_recurrent_layers_stay_int8() -> None:
    require_tool("tensorflow")
    require_tool("tf_keras")
    result = quantize_model(SPEAKERS / "speakers.keras", SPEAKERS / "speakers_test.npz", weights="int4")
    kept = {layer.op: layer.kept for layer in result.layer_weights if layer.bits == 8}
    assert kept == {"UNIDIRECTIONAL_SEQUENCE_LSTM": "TensorFlow Lite Micro has no other weights for it"}
    assert any(layer.bits == 4 for layer in result.layer_weights)


# -- quantization-aware training ----------------------------------------------------------------------------------


def trained(keep_int8: tuple[str, ...], data: npt.NDArray[Any]) -> Any:
    """All kinds of layers, with weights and ranges that are no longer where they began."""
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import prepare

    keras.utils.set_random_seed(3)
    i = keras.Input((12, 12, 3))
    x = kl.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(i)
    x = kl.ReLU()(kl.BatchNormalization()(x))
    y = kl.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable")(x)
    x = kl.Add()([x, kl.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(y)])
    x = kl.Reshape((36, 8))(kl.MaxPooling2D(2)(x))
    x = kl.Conv1D(6, 3, activation="relu", name="line")(x)
    x = kl.Flatten()(kl.Dense(5, activation="relu", name="rows")(x))
    model = keras.Model(i, kl.Dense(4, activation="softmax", name="classes")(x))
    training = prepare(model, weights="int4", keep_int8=keep_int8)
    training.compile("adam", "mse")
    training.fit(data, np.random.default_rng(1).random((len(data), 4)), epochs=2, verbose=0)
    return training


def expected(layer: Any, name: str) -> npt.NDArray[Any]:
    """The integers that a layer was trained with, in TFLite's order."""
    kernel = np.asarray(layer.rounded(name), np.float64)
    depthwise = name.startswith("depthwise") or "Depthwise" in type(layer).__name__
    rows = kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).T if depthwise else np.moveaxis(kernel, -1, 0)
    rows = rows.reshape(len(rows), -1)
    most = 7 if layer.int4 else 127
    one_scale = "Dense" in type(layer).__name__ and layer.int4
    scale = np.abs(rows).max(axis=None if one_scale else 1, keepdims=True) / most
    values = np.rint(rows / scale)
    np.testing.assert_allclose(rows, values * scale, atol=1e-5)
    return values.T if depthwise else values


@pytest.mark.slow
@pytest.mark.parametrize("keep_int8", [(), ("stem", "separable", "last")])
def test_every_integer_of_training_survives(keep_int8: tuple[str, ...], tmp_path: Path) -> None:
    require_tool("tensorflow")
    from tinyml_sdk.compress.qat import bake

    data = np.random.default_rng(5).standard_normal((64, 12, 12, 3)).astype(np.float32)
    training = trained(keep_int8, data)
    baked = bake(training)
    baked.save(tmp_path / "baked.keras")
    result = quantize_model(tmp_path / "baked.keras", data[:20], weights="int4")
    graph = parse_graph(result.content)
    wanted = [
        (layer.int4, expected(layer, name))
        for layer in training.layers
        if hasattr(layer, "int4")
        for name in layer.kernels
    ]
    stored = weights_of(graph)
    assert [tensor.packed for tensor in stored] == [int4 for int4, _ in wanted]
    assert [layer.bits == 4 for layer in result.layer_weights] == [int4 for int4, _ in wanted]
    for tensor, (_, values) in zip(stored, wanted, strict=True):
        assert tensor.data is not None
        np.testing.assert_array_equal(tensor.data.ravel(), values.ravel(), err_msg=tensor.name)
    if TflmReference.available():
        output, simulated = graph.output_tensors[0], np.asarray(baked(data[:20]))
        rows = TflmReference(result.content).run([[quantize(row[None], graph.input_tensors[0])] for row in data[:20]])
        numbers = np.concatenate([row[0] for row in rows]).astype(np.float64)
        assert np.abs(numbers - np.rint(simulated / output.scale + output.zero_point)).max() <= 2

    if not keep_int8:
        with pytest.raises(InputError, match="was trained for int4 weights, not int8"):
            quantize_model(tmp_path / "baked.keras", data[:20])
        with pytest.raises(InputError, match="layer 'stem': was trained for int4 weights"):
            quantize_model(tmp_path / "baked.keras", data[:20], weights="int4", keep_int8=["stem"])
        with pytest.raises(InputError, match="no --min-snr can choose again"):
            quantize_model(tmp_path / "baked.keras", data[:20], weights="int4", min_snr=10)


@pytest.mark.slow
def test_layers_to_keep_are_checked_before_training() -> None:
    require_tool("tensorflow")
    import keras

    from tinyml_sdk.compress.qat import prepare

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="one"), keras.layers.Dense(2, name="two")])
    for options, message in (
        ({"weights": "int4", "keep_int8": ["three"]}, "there is no layer 'three' with weights to keep int8"),
        ({"weights": "int4", "keep_int8": ["first", "two"]}, "no layer is left for int4 weights"),
        ({"weights": "int3"}, "'int3' is no dtype of weights"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(model, **options)
