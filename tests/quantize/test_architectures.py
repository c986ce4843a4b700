"""Kinds of models that people bring, from Keras to an emulated Cortex-M4, by the functions behind the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark, quantize_model
from tinyml_sdk.graph import read_graph

pytestmark = pytest.mark.slow

MODELS = """
import numpy as np, keras
from keras import layers as L
keras.utils.set_random_seed(3)

def squeeze_and_excite(x, channels):
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(4, 1, activation="relu")(gate)
    return L.Multiply()([x, L.Conv2D(channels, 1, activation="hard_sigmoid")(gate)])

def mobilenet_v3():
    i = keras.Input((12, 12, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="hard_swish")(i)
    y = L.Conv2D(16, 1, activation="hard_swish")(x)
    y = L.DepthwiseConv2D(3, padding="same", activation="hard_swish")(y)
    y = L.Conv2D(8, 1)(squeeze_and_excite(y, 16))
    x = L.GlobalAveragePooling2D()(L.Add()([x, y]))
    return keras.Model(i, L.Dense(4, activation="softmax")(x))

def u_net():
    i = keras.Input((8, 8, 1))
    outer = L.Conv2D(8, 3, padding="same", activation="relu")(i)
    inner = L.Conv2D(12, 3, padding="same", activation="relu")(L.MaxPooling2D()(outer))
    x = L.Conv2D(12, 3, padding="same", activation="relu")(L.MaxPooling2D()(inner))
    x = L.Concatenate()([L.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu")(x), inner])
    x = L.Concatenate()([L.UpSampling2D(2)(L.Conv2D(8, 3, padding="same", activation="relu")(x)), outer])
    return keras.Model(i, L.Conv2D(1, 1, activation="sigmoid")(x))

def one_dimension():
    i = keras.Input((24, 3))
    x = L.LeakyReLU(negative_slope=0.1)(L.Conv1D(8, 3, padding="same")(i))
    x = L.PReLU(shared_axes=[1], alpha_initializer="random_normal")(L.Conv1D(8, 5, strides=2)(x))
    x = L.UpSampling1D(2)(L.Maximum()([x, L.Conv1DTranspose(8, 1)(x)]))
    return keras.Model(i, L.Dense(4)(L.GlobalMaxPooling1D()(x)))

for build in (mobilenet_v3, u_net, one_dimension):
    build().save(build.__name__ + ".keras")
"""

OPERATORS = {
    "mobilenet_v3": {"HARD_SWISH", "MUL", "MEAN"},
    "u_net": {"TRANSPOSE_CONV", "RESIZE_NEAREST_NEIGHBOR", "CONCATENATION"},
    "one_dimension": {"LEAKY_RELU", "PRELU", "MAXIMUM", "REDUCE_MAX", "RESIZE_NEAREST_NEIGHBOR"},
}
SHAPES = {"mobilenet_v3": (12, 12, 3), "u_net": (8, 8, 1), "one_dimension": (24, 3)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Keras files, made in a process of its own: TensorFlow stays out of this one."""
    require_tool("tensorflow")
    made = tmp_path_factory.mktemp("architectures")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", MODELS], cwd=made, env=environment, check=True)
    return made


@pytest.mark.parametrize("name", OPERATORS)
def test_from_keras_to_the_board(folder: Path, name: str) -> None:
    inputs = np.random.default_rng(5).standard_normal((40, *SHAPES[name])).astype(np.float32)
    result = quantize_model(folder / f"{name}.keras", inputs)
    model = folder / f"{name}.tflite"
    model.write_bytes(result.content)
    assert OPERATORS[name] <= {op.name for op in read_graph(model).ops}
    assert result.layers[-1].snr_db > 20
    measured = benchmark(model, board="mps2-an386")
    assert measured.check.bit_exact
    assert measured.check.inputs >= 8
