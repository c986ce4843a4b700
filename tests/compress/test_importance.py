"""Each score against what the formula gives by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.keras_zoo import random_inputs, zoo_model
from support.tools import require_tool

from tinyml_sdk.compress.filters.channels import analyze_channels
from tinyml_sdk.compress.filters.importance import IMPORTANCES, filter_scores, layer_scores
from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow

Array = np.ndarray
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


def scores_of(model: Any, method: Any, layer: str = "it", **options: Any) -> Array:
    return layer_scores(model, analyze_channels(model), method, **options)[layer]


def dense_model(weights: Array, readout: Array, output: str = "linear", activation: str = "linear") -> Any:
    """Units `it` of the given weights (inputs, units), read by a dense layer (units, outputs) without bias."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((weights.shape[0],)),
            layers.Dense(weights.shape[1], activation=activation, use_bias=False, name="it"),
            layers.Dense(readout.shape[1], activation=output, use_bias=False, name="out"),
        ]
    )
    model.set_weights([weights, readout])
    return model


# -- of weights -----------------------------------------------------------------------------------------------------

# Three filters of four weights: (3, 4, 0, 0), (1, -1, 1, -1), (0, 0, 0, 0).
FILTERS = np.array([[3, 4, 0, 0], [1, -1, 1, -1], [0, 0, 0, 0]], dtype=np.float64)
BY_HAND = {
    "l1": [7, 4, 0],
    "l2": [5, 2, 0],
    # |f0 - f1| = |(2, 5, -1, 1)| = sqrt(31), |f0 - f2| = 5, |f1 - f2| = 2
    "geometric_median": [np.sqrt(31) + 5, np.sqrt(31) + 2, 5 + 2],
}


@pytest.mark.parametrize("method", BY_HAND)
@pytest.mark.parametrize("kind", ["Dense", "Conv2D", "Conv1D", "Conv2DTranspose", "SeparableConv2D"])
def test_scores_of_weights(kind: str, method: str) -> None:
    import keras
    from keras import layers

    shapes = {"Dense": (4,), "Conv2D": (3, 3, 2), "Conv1D": (5, 2), "Conv2DTranspose": (3, 3, 2)}
    inputs = keras.Input(shapes.get(kind, (3, 3, 4)))
    size = {"Dense": (), "Conv2D": ((2, 1),), "Conv1D": (2,), "Conv2DTranspose": ((2, 1),)}.get(kind, ((2, 2),))
    x = getattr(layers, kind)(3, *size, name="it")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    layer = model.get_layer("it")
    kernel = layer.pointwise_kernel if kind == "SeparableConv2D" else layer.kernel
    transposed = np.moveaxis(FILTERS.reshape(3, 2, 1, 2), 0, 2)  # (2, 1, filters, inputs)
    kernel.assign(transposed if kind == "Conv2DTranspose" else FILTERS.T.reshape(kernel.shape))
    layer.bias.assign([100.0, 200.0, 300.0])  # no part of any score
    np.testing.assert_allclose(scores_of(model, method), BY_HAND[method], rtol=1e-6)


# -- of activations -------------------------------------------------------------------------------------------------


def test_activation_of_units() -> None:
    model = dense_model(np.array([[1.0, -2.0], [1.0, 1.0]]), np.ones((2, 1)), activation="relu")
    samples = np.array([[1, 2], [3, 0], [-1, -1], [0, 4]])
    # x W: (3, 0), (3, -6), (-2, 1), (4, 4); behind the ReLU the means are (3 + 3 + 0 + 4) / 4 and (0 + 0 + 1 + 4) / 4
    np.testing.assert_allclose(scores_of(model, "activation", inputs=samples), [2.5, 1.25])
    # At most two, evenly spread: the first and the last.
    np.testing.assert_allclose(scores_of(model, "activation", inputs=samples, samples=2), [3.5, 2.0])


def test_activation_of_filters_is_behind_normalization_and_relu() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((2, 1))
    x = layers.Conv1D(2, 1, use_bias=False, name="it")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=0.0, name="bn")(x))
    x = layers.MaxPooling1D(2)(x)
    model = keras.Model(inputs, layers.Dense(1, name="out")(layers.Flatten()(x)))
    model.get_layer("it").set_weights([np.array([[[1.0, -1.0]]])])
    # gamma, beta, mean, variance: channel 0 becomes 2 (x - 1) + 1, channel 1 becomes -x / 2
    model.get_layer("bn").set_weights(
        [np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([1.0, 0]), np.array([1.0, 4])]
    )
    samples = np.array([[[2.0], [0.0]], [[-4.0], [1.0]]])
    # channel 0: 3, -1, -9, 1 → mean of 3, 0, 0, 1; channel 1: -1, 0, 2, -0.5 → mean of 0, 0, 2, 0
    np.testing.assert_allclose(scores_of(model, "activation", inputs=samples), [1.0, 0.5])


def test_a_layer_called_twice_counts_twice() -> None:
    model = zoo_model("shared")
    inputs = random_inputs(model, 3)
    conv = model.get_layer("conv")
    expected = np.zeros(8)
    for side in ("left", "right"):
        normalized = model.get_layer("bn")(conv(inputs[side]), training=False)
        expected += np.maximum(np.asarray(normalized, dtype=np.float64), 0).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(scores_of(model, "activation", "conv", inputs=inputs), expected, rtol=1e-5)


# -- of gradients ---------------------------------------------------------------------------------------------------

WEIGHTS, READOUT = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 1))
SAMPLES = RNG.standard_normal((5, 3)).astype(np.float32)
TARGETS = RNG.standard_normal((5, 1))
ERRORS = SAMPLES @ WEIGHTS @ READOUT - TARGETS  # (5, 1)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "none"])
def test_gradient_of_squared_error(reduction: str) -> None:
    """L = (a·v - y)², so dL/da_i = 2 (a·v - y) v_i; whatever a loss does with its batch."""
    import keras

    model = dense_model(WEIGHTS, READOUT)
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    found = scores_of(model, "gradient", inputs=SAMPLES, labels=TARGETS, loss=loss)
    np.testing.assert_allclose(found, np.abs(2 * ERRORS * READOUT[:, 0]).mean(axis=0), rtol=1e-5)


def test_gradient_is_summed_over_positions_and_zero_behind_a_closed_relu() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4, 1))
    x = layers.ReLU(name="gate")(layers.Conv1D(2, 1, use_bias=False, name="it")(inputs))
    x = layers.Conv1D(1, 1, use_bias=False, activation="relu", name="closed")(x)
    y = layers.GlobalAveragePooling1D()(layers.Concatenate()([inputs, x]))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="out")(y))
    model.set_weights([np.array([[[1.0, 1.0]]]), np.array([[[2.0], [-1.0]]]), np.array([[0.0], [3.0]])])
    sample = np.array([[[1.0], [2.0], [-1.0], [3.0]]])
    # a = x for x > 0, else 0, in both channels; closed = max(2a - a, 0) = a, open at three positions of four, of which
    # the pool passes 1/4: out = 3 (1 + 2 + 0 + 3) / 4 = 4.5. With y = 2: dL/dout = 5, dL/da_0 = 5 * 3 / 4 * 2 there.
    found = scores_of(model, "gradient", inputs=sample, labels=[[2.0]], loss=keras.losses.mean_squared_error)
    np.testing.assert_allclose(found, [3 * 5 * 0.75 * 2, 3 * 5 * 0.75 * 1], rtol=1e-6)


def test_gradient_of_cross_entropy_is_the_default() -> None:
    """dL/dz = p - onehot for softmax and cross-entropy, whether the model ends in the softmax or before it."""
    readout = RNG.standard_normal((4, 3))
    labels = np.array([0, 2, 1, 1, 2])
    logits = SAMPLES @ WEIGHTS @ readout
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.abs((p - np.eye(3)[labels]) @ readout.T).mean(axis=0)
    for output in ("softmax", "linear"):
        model = dense_model(WEIGHTS, readout, output)
        np.testing.assert_allclose(scores_of(model, "gradient", inputs=SAMPLES, labels=labels), expected, rtol=1e-4)


# -- of curvature ---------------------------------------------------------------------------------------------------


def test_hessian_of_squared_error() -> None:
    """L = (a·v - y)², so d²L/da_i² = 2 v_i², exactly."""
    import keras

    model = dense_model(WEIGHTS, READOUT)
    found = scores_of(model, "hessian", inputs=SAMPLES, labels=TARGETS, loss=keras.losses.MeanSquaredError())
    np.testing.assert_allclose(found, 2 * READOUT[:, 0] ** 2, rtol=1e-5)


def test_hessian_is_summed_over_positions() -> None:
    """A mean over 5 positions: 5 times 2 (v_i / 5)²."""
    import keras
    from keras import layers

    inputs = keras.Input((5, 2))
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 1, name="it")(inputs))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="out")(x))
    model.get_layer("out").set_weights([READOUT])
    samples = RNG.standard_normal((3, 5, 2))
    found = scores_of(model, "hessian", inputs=samples, labels=TARGETS[:3], loss=keras.losses.MeanSquaredError())
    np.testing.assert_allclose(found, 2 * READOUT[:, 0] ** 2 / 5, rtol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "linear"])
def test_hessian_of_cross_entropy(output: str) -> None:
    """d²L/dz² = diag(p) - p pᵀ, so d²L/da_j² = sum_k p_k w_jk² - (sum_k p_k w_jk)², exactly."""
    readout = RNG.standard_normal((4, 3))
    logits = SAMPLES @ WEIGHTS @ readout
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = (p @ (readout**2).T - (p @ readout.T) ** 2).mean(axis=0)
    model = dense_model(WEIGHTS, readout, output)
    found = scores_of(model, "hessian", inputs=SAMPLES, labels=np.array([0, 2, 1, 1, 2]))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_hessian_of_binary_cross_entropy() -> None:
    """d²L/dz² = p (1 - p)."""
    import keras

    p = 1 / (1 + np.exp(-SAMPLES @ WEIGHTS @ READOUT))
    model = dense_model(WEIGHTS, READOUT, "sigmoid")
    expected = (p * (1 - p)).mean() * READOUT[:, 0] ** 2
    for loss in (keras.losses.BinaryCrossentropy(), "binary_crossentropy"):
        found = scores_of(model, "hessian", inputs=SAMPLES, labels=np.ones((5, 1)), loss=loss)
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    by_default = scores_of(model, "hessian", inputs=SAMPLES, labels=np.array([0, 1, 1, 0, 1]))
    np.testing.assert_allclose(by_default, expected, rtol=1e-3)


def test_hessian_equals_the_loss_s_second_difference() -> None:
    """No formula: the loss itself at a + h, a and a - h, behind a ReLU, for a model that is piecewise linear."""
    weights, middle, readout = (RNG.standard_normal(shape) for shape in ((3, 4), (4, 6), (6, 3)))
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="relu", use_bias=False, name="it"),
            layers.Dense(6, activation="relu", use_bias=False, name="middle"),
            layers.Dense(3, activation="softmax", use_bias=False, name="out"),
        ]
    )
    model.set_weights([weights, middle, readout])
    labels = np.array([0, 2, 1, 1, 2])

    def losses(a: Array) -> Array:
        z = np.maximum(a @ middle, 0) @ readout
        return np.log(np.exp(z).sum(axis=1)) - z[np.arange(5), labels]

    a, h = np.maximum(SAMPLES.astype(np.float64) @ weights, 0), 1e-4
    expected = [((losses(a + h * unit) - 2 * losses(a) + losses(a - h * unit)) / h**2).mean() for unit in np.eye(4)]
    found = scores_of(model, "hessian", inputs=SAMPLES, labels=labels)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_hessian_of_many_outputs_is_estimated_and_repeats() -> None:
    """64 outputs, L = mean_k (a·w_k - y_k)²: 2 / 64 sum_k w_jk², from 32 random combinations a sample."""
    import keras

    readout = RNG.standard_normal((4, 64)) * np.array([[0.5], [1.0], [2.0], [4.0]])
    model = dense_model(WEIGHTS, readout)
    samples, labels = RNG.standard_normal((40, 3)), RNG.standard_normal((40, 64))
    options: dict[str, Any] = {"inputs": samples, "labels": labels, "loss": keras.losses.MeanSquaredError()}
    found = scores_of(model, "hessian", **options)
    np.testing.assert_allclose(found, 2 / 64 * (readout**2).sum(axis=1), rtol=0.1)
    assert np.array_equal(found, scores_of(model, "hessian", **options))


# -- of groups ------------------------------------------------------------------------------------------------------


def test_scores_of_a_group_are_the_mean_of_its_layers() -> None:
    """Each divided by its own mean, so that a layer of weights a hundred times as large counts the same."""
    model = zoo_model("residual")
    model.get_layer("back").kernel.assign(model.get_layer("back").kernel * 100)
    analysis = analyze_channels(model)
    alone = layer_scores(model, analysis, "l2")
    together = filter_scores(model, analysis, "l2")
    expected = (alone["stem"] / alone["stem"].mean() + alone["back"] / alone["back"].mean()) / 2
    np.testing.assert_allclose(together[analysis.groups[0]], expected)


def test_filters_that_share_a_fate_within_a_layer_are_added() -> None:
    model = zoo_model("autoencoder")
    analysis = analyze_channels(model)
    group = next(group for group in analysis.groups if group.layers == ("decode",))
    units = layer_scores(model, analysis, "l1")["decode"].reshape(4, 8).sum(axis=0)
    np.testing.assert_allclose(filter_scores(model, analysis, "l1")[group], units / units.mean())


def test_a_dead_layer_has_scores_of_zero() -> None:
    model = dense_model(np.zeros((3, 4)), READOUT)
    analysis = analyze_channels(model)
    assert filter_scores(model, analysis, "l2")[analysis.groups[0]].tolist() == [0.0] * 4


@pytest.mark.parametrize("method", IMPORTANCES)
@pytest.mark.parametrize("name", ["residual", "squeeze_and_excite", "one_dimension", "nested", "depthwise"])
def test_every_method_on_every_kind_of_model(name: str, method: Any) -> None:
    import keras

    model = zoo_model(name)
    analysis = analyze_channels(model)
    outputs = model(random_inputs(model, 3), training=False)
    found = filter_scores(
        model,
        analysis,
        method,
        inputs=random_inputs(model, 3),
        labels=np.zeros(outputs.shape),
        loss=keras.losses.MeanSquaredError(),
    )
    assert list(found) == list(analysis.groups)
    for group, values in found.items():
        assert values.shape == (group.size,)
        assert values.dtype == np.float64
        # A filter alone is no distance from the others.
        assert values.mean() == pytest.approx(0 if method == "geometric_median" and group.size == 1 else 1)
        assert (values >= 0).all()


# -- bad input ------------------------------------------------------------------------------------------------------

BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("l3", {}, "", "'l3' is not known"),
    ("activation", {}, "inputs", "needs samples"),
    ("activation", {"inputs": np.zeros((4, 2))}, "input", "the model takes"),
    ("activation", {"inputs": np.full((4, 3), np.nan)}, "input", "NaN"),
    ("activation", {"inputs": np.array([["a"] * 3])}, "input", "the model takes"),
    ("activation", {"inputs": np.zeros((0, 3))}, "inputs", "0 samples"),
    ("activation", {"inputs": {"wrong": SAMPLES}}, "inputs", "there is none for"),
    ("activation", {"inputs": SAMPLES, "samples": 0}, "samples", "0 samples are none"),
    ("gradient", {"inputs": SAMPLES}, "labels", "needs labels"),
    ("hessian", {"inputs": SAMPLES, "labels": np.zeros(4, int)}, "labels", "there are 5 samples"),
    ("gradient", {"inputs": SAMPLES, "labels": np.full(5, 7)}, "labels", "hold 7 to 7, and the model has 3"),
    ("gradient", {"inputs": SAMPLES, "labels": np.zeros((5, 3))}, "labels", "need a loss"),
    ("gradient", {"inputs": SAMPLES, "labels": np.full((5, 1), np.inf)}, "labels", "finite"),
]


@pytest.mark.parametrize(("method", "options", "where", "message"), BAD)
def test_bad_input(method: Any, options: dict[str, Any], where: str, message: str) -> None:
    model = dense_model(WEIGHTS, RNG.standard_normal((4, 3)), "softmax")
    with pytest.raises(InputError, match=message) as caught:
        scores_of(model, method, **options)
    assert where in caught.value.where
    assert caught.value.hint


def test_gradients_need_one_output() -> None:
    model = zoo_model("shared")
    with pytest.raises(InputError, match="a model of one output, and this has 2"):
        scores_of(model, "gradient", "conv", inputs=random_inputs(model), labels=np.zeros(4, int))


def test_scores_that_are_nan() -> None:
    model = dense_model(np.full((3, 4), np.nan), READOUT)
    with pytest.raises(InputError, match="NaN or infinite") as caught:
        scores_of(model, "l2")
    assert caught.value.where == "layer 'it'"
