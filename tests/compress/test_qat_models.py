"""Quantization-aware training survives conversion: every integer and every scale, on all kinds of layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.tools import require_tool

from tinyml_sdk import quantize_model
from tinyml_sdk.bench.inputs import quantize
from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.graph import Graph, Tensor, parse_graph

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
Array = npt.NDArray[Any]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _keras() -> None:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(3)


def samples(count: int, *shape: int) -> Array:
    return np.random.default_rng(5).standard_normal((count, *shape)).astype(np.float32)


def with_live_norms(model: Any) -> Any:
    """Batch norms as training leaves them: not the identity."""
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.gamma.shape
            gamma, variance = rng.random(size) + 0.5, rng.random(size) + 0.5
            layer.set_weights([gamma, rng.standard_normal(size), rng.standard_normal(size), variance])
    return model


def two_dimensions() -> Any:
    """Convolution, separable, residual, squeeze and excite, concatenation, both pools; batch norms everywhere."""
    import keras
    from keras import layers as kl

    i = keras.Input((16, 16, 3))
    x = kl.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(i)
    x = kl.ReLU()(kl.BatchNormalization()(x))
    y = kl.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    y = kl.ReLU()(kl.BatchNormalization()(y))
    y = kl.BatchNormalization()(kl.DepthwiseConv2D(3, padding="same", depth_multiplier=1, name="depthwise")(y))
    x = kl.ReLU(6.0)(kl.Add(name="residual")([x, y]))
    s = kl.GlobalAveragePooling2D(keepdims=True)(x)
    s = kl.Conv2D(8, 1, activation="sigmoid", name="excite")(s)
    x = kl.Concatenate(name="both")([kl.Multiply()([x, s]), y])
    x = kl.Cropping2D(1)(kl.UpSampling2D(2, interpolation="bilinear")(kl.MaxPooling2D(2)(x)))
    x = kl.Conv2D(8, 3, strides=2, activation="relu", name="wide")(kl.AveragePooling2D(2)(x))
    x = kl.Dropout(0.2)(kl.Flatten()(x))
    return with_live_norms(keras.Model(i, kl.Dense(4, activation="softmax", name="classes")(x)))


def one_dimension() -> Any:
    import keras
    from keras import layers as kl

    i = keras.Input((32, 6))
    x = kl.Conv1D(8, 5, strides=2, padding="same", name="conv")(i)
    x = kl.ReLU()(kl.BatchNormalization()(x))
    x = kl.Conv1D(8, 3, padding="causal", activation="relu", name="causal")(x)
    x = kl.DepthwiseConv1D(3, padding="same", activation="relu", name="depthwise")(x)
    x = kl.SeparableConv1D(12, 3, padding="same", activation="relu", name="separable")(x)
    x = kl.Permute((2, 1))(kl.Cropping1D(1)(kl.UpSampling1D(3)(kl.MaxPooling1D(2)(x))))
    x = kl.GlobalAveragePooling1D()(x)
    return with_live_norms(keras.Model(i, kl.Dense(5, name="classes")(x)))


def decoder() -> Any:
    """Transposed convolutions, learnt slopes and curves, gates; what the converter folds, and what it takes apart."""
    import keras
    from keras import layers as kl

    i = keras.Input((10, 10, 2))
    x = kl.Conv2D(4, 3, activation="hard_swish", name="stem")(kl.Rescaling(0.5, offset=-0.1)(i))
    x = kl.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal", name="slopes")(kl.MaxPooling2D(2)(x))
    gate = kl.Conv2D(4, 1, activation="hard_sigmoid", name="gate")(kl.GlobalAveragePooling2D(keepdims=True)(x))
    x = kl.Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False, name="up")(kl.Multiply()([x, gate]))
    x = kl.ReLU(6.0)(kl.BatchNormalization()(x))
    y = kl.LeakyReLU(name="leaky")(kl.Conv2DTranspose(6, 2, activation="relu", name="wider")(x))
    y = kl.Conv2D(6, 2, activation="silu", name="back")(y)
    x = kl.Maximum()([kl.Average()([x, y, kl.Conv2D(6, 1, name="beside")(y)]), y])
    return with_live_norms(keras.Model(i, kl.Dense(3, activation="tanh", name="end")(kl.GlobalMaxPooling2D()(x))))


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "2d": (two_dimensions, (16, 16, 3)),
    "1d": (one_dimension, (32, 6)),
    "decoder": (decoder, (10, 10, 2)),
}


def trained(model: Any, data: Array, granularity: Any = "per-channel") -> Any:
    """As if after training: weights are no longer where they began, and ranges not quite what calibration sees."""
    from tinyml_sdk.compress.qat import prepare

    training = prepare(model, granularity=granularity, calibration=[data])
    rng = np.random.default_rng(1)
    for variable in training.trainable_variables:
        variable.assign(variable + 0.05 * rng.standard_normal(variable.shape))
    return training


WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PRELU", "TRANSPOSE_CONV")


def stored_weights(graph: Graph) -> list[Tensor]:
    kernels = [op.inputs[1] for op in graph.ops if op.name in WITH_WEIGHTS]
    return [graph.tensors[index] for index in kernels]


def expected_weights(layer: Any, granularity: str) -> tuple[Array, Array]:
    """Integers and scales by the definition, from the float kernel before baking, laid out as TFLite does."""
    kind = type(layer).__name__.removeprefix("Quantized")
    kernel = np.asarray(getattr(layer, *layer.kernels) if hasattr(layer, "kernels") else layer.kernel, np.float64)
    if kind == "PReLU":
        return np.rint(kernel / (np.abs(kernel).max() / 127)).ravel(), np.abs(kernel).max(keepdims=True).ravel() / 127
    if kind.startswith("Depthwise"):
        kernel = kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1])
    elif kind.endswith("Transpose"):
        kernel = np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)  # outputs first, inputs last
    else:
        kernel = kernel.reshape(-1, kernel.shape[-1]).T
    per_tensor = granularity == "per-tensor" or (granularity == "per-tensor-dense" and kind == "Dense")
    axis = None if per_tensor else (0 if kind.startswith("Depthwise") else 1)
    scale = np.abs(kernel).max(axis=axis, keepdims=True) / 127
    return np.rint(kernel / scale).ravel(), scale.ravel()


@pytest.mark.parametrize(
    ("name", "granularity"),
    [
        *((name, granularity) for name in MODELS for granularity in ("per-channel", "per-tensor")),
        ("2d", "per-tensor-dense"),
    ],
)
def test_every_integer_survives(name: str, granularity: Any, tmp_path: Path) -> None:
    from tinyml_sdk.compress.qat import bake

    make, shape = MODELS[name]
    data = samples(64, *shape)
    training = trained(make(), data, granularity)
    baked = bake(training)
    baked.save(tmp_path / "baked.keras")
    result = quantize_model(tmp_path / "baked.keras", data[:20], granularity=granularity)
    graph = parse_graph(result.content)
    assert result.ranges.trained == len([layer for layer in baked.layers if type(layer).__name__ == "ActivationRange"])

    expected = [expected_weights(layer, granularity) for layer in kernels_of(training)]
    stored = stored_weights(graph)
    assert len(stored) == len(expected)
    for tensor in stored:
        assert tensor.data is not None
        assert tensor.quantization is not None
        scales = np.array(tensor.quantization.scale)
        same = [
            values for values, scale in expected if scale.shape == scales.shape and np.allclose(scale, scales, 1e-5)
        ]
        assert any(np.array_equal(values, tensor.data.ravel()) for values in same), tensor.name
    assert_computes_as_simulated(graph, result.content, baked, data[:20])


def kernels_of(training: Any) -> list[Any]:
    """The trained layers; a separable one as two, as `bake` makes them."""
    from types import SimpleNamespace

    found: list[Any] = []
    for layer in training.layers:
        if hasattr(layer, "depthwise_kernel"):
            found.append(type("Depthwise", (SimpleNamespace,), {})(kernel=layer.depthwise_kernel))
            found.append(type("Conv", (SimpleNamespace,), {})(kernel=layer.pointwise_kernel))
        elif hasattr(layer, "granularity"):
            found.append(layer)
    return found


def assert_computes_as_simulated(graph: Graph, content: bytes, baked: Any, data: Array) -> None:
    """The int8 interpreter is within a few roundings of what Keras says of the baked model."""
    if not TflmReference.available():
        return
    simulated = np.asarray(baked(data))
    source, output = graph.input_tensors[0], graph.output_tensors[0]
    rows = TflmReference(content).run([[quantize(row[None], source)] for row in data])
    stored = np.stack([row[0][0] for row in rows]).astype(np.float64)
    steps = np.abs(stored - np.rint(simulated / output.scale + output.zero_point))
    assert steps.max() <= 2
    assert steps.mean() < 0.5


def odd_places() -> Any:
    """Operators instead of layers, Dropout before ReLU, ReLU behind poolings and products, nested concatenations."""
    import keras
    from keras import layers as kl
    from keras import ops

    i = keras.Input((12, 12, 3))
    x = kl.ReLU()(kl.Dropout(0.3)(kl.Conv2D(6, 3, padding="same")(i)))
    y = kl.Conv2D(6, 3)(kl.ZeroPadding2D(1)(x))
    x = ops.relu(x + y)
    z = kl.ReLU()(kl.AveragePooling2D(2)(kl.Conv2D(5, 1)(x)))
    w = kl.ReLU()(kl.Multiply()([z, kl.Conv2D(5, 2, strides=2)(x)]))
    c = kl.Concatenate()([kl.Concatenate()([z, w]), kl.MaxPooling2D(2)(x)])
    c = kl.Reshape((36, 16))(kl.Activation("relu")(c))
    return keras.Model(i, kl.Dense(2)(kl.Flatten()(kl.Dense(4)(c))))


def test_places_of_ranges_that_are_not_obvious() -> None:
    from tinyml_sdk.compress.qat import bake, prepare

    data = samples(20, 12, 12, 3)
    baked = bake(prepare(odd_places(), calibration=[data]))
    result = quantize_model(baked, data)
    assert result.ranges.trained == 8  # all that meets in the concatenation has one
    assert_computes_as_simulated(parse_graph(result.content), result.content, baked, data)


def test_the_ranges_that_training_found_are_the_scales() -> None:
    from tinyml_sdk.compress.qat import bake

    data = samples(64, 16, 16, 3)
    training = trained(two_dimensions(), data)
    graph = parse_graph(quantize_model(bake(training), data[:20]).content)
    schemes = {(tensor.scale, tensor.zero_point) for tensor in graph.tensors if not tensor.is_constant}
    ranges = [layer.learnt() for layer in training.layers if type(layer).__name__ == "MovingRange"]
    assert len(ranges) >= 7
    for low, high in ranges:
        scale = (high - low) / 255
        (found,) = (scheme for scheme in schemes if math.isclose(scheme[0], scale, rel_tol=1e-6))
        assert found[1] == round(-128 - low / scale)
        schemes.remove(found)
    assert len(schemes) == 2  # between the halves of the separable convolution, and the sigmoid's and softmax's own
