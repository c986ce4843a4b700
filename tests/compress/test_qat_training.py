"""Preparing, training and baking: what is kept, what is refused, and that int8 does what was simulated."""

from __future__ import annotations

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
from tinyml_sdk.errors import InputError
from tinyml_sdk.graph import parse_graph

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
Array = npt.NDArray[Any]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _keras() -> None:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(3)


def digits() -> tuple[Array, Array]:
    with np.load(DIGITS / "digits_test.npz") as archive:
        return archive["inputs"], archive["labels"]


def dense(*layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input((6,)), *layers], name="model")


def test_digits_trained_saved_and_quantized(tmp_path: Path) -> None:
    """On real data, by the file: the int8 interpreter predicts what Keras simulates, and as well as the float model."""
    import keras

    from tinyml_sdk.compress.qat import quantize_aware

    images, labels = digits()

    def train(model: Any) -> None:
        model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
        model.fit(images[:200], labels[:200], epochs=3, verbose=0)

    model = keras.models.load_model(DIGITS / "digits.keras")
    baked = quantize_aware(model, train, calibration=[images[:100]])
    baked.save(tmp_path / "digits.keras")
    simulated = np.asarray(keras.models.load_model(tmp_path / "digits.keras")(images)).argmax(axis=1)
    result = quantize_model(
        tmp_path / "digits.keras", images[:50], validation={"inputs": images, "labels": labels}, method="percentile"
    )
    assert result.ranges.trained == 7  # whatever the method chooses for others
    assert result.accuracy is not None
    assert result.accuracy.keras == pytest.approx(np.mean(simulated == labels))
    assert result.parameters == baked.count_params()
    if TflmReference.available():
        (source,) = parse_graph(result.content).input_tensors
        rows = TflmReference(result.content).run([[quantize(image[None], source)] for image in images])
        predicted = np.array([row[0].argmax() for row in rows])
        assert np.mean(predicted == simulated) >= 0.99
        assert result.accuracy.int8 == pytest.approx(result.accuracy.keras, abs=0.01)


def test_names_variables_and_the_model_given_stay() -> None:
    import keras

    from tinyml_sdk.compress.qat import prepare

    model = keras.models.load_model(DIGITS / "digits.keras")
    before = [np.array(weights) for weights in model.get_weights()]
    images, labels = digits()
    training = prepare(model)
    training.compile("sgd", "sparse_categorical_crossentropy")
    training.fit(images[:64], labels[:64], verbose=0)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    for name in ("conv", "depthwise", "pointwise", "conv_wide", "digit"):
        assert isinstance(training.get_layer(name), type(model.get_layer(name)))
        assert training.get_layer(name).kernel.shape == model.get_layer(name).kernel.shape
        assert not np.array_equal(training.get_layer(name).kernel, model.get_layer(name).kernel)


def test_a_training_model_can_be_saved_and_goes_on(tmp_path: Path) -> None:
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    i = keras.Input((8, 8, 2))
    x = kl.SeparableConv2D(4, 3, activation="relu")(i)
    model = keras.Model(i, kl.Dense(2, activation="softmax")(kl.Flatten()(x)))
    data = np.random.default_rng(0).random((32, 8, 8, 2), np.float32)
    training = prepare(model, calibration=[data], granularity="per-tensor")
    training.save(tmp_path / "training.keras")
    again = keras.models.load_model(tmp_path / "training.keras")
    assert np.array_equal(np.asarray(again(data)), np.asarray(training(data)))
    for ours, theirs in zip(bake(again).get_weights(), bake(training).get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_zeros_stay_zeros_and_shared_weights_stay_shared() -> None:
    """Pruned weights in every granularity; a codebook's in per-tensor, where all have one scale."""
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    rng = np.random.default_rng(0)
    kernel = rng.choice([0.0, 0.011, -0.37, 0.5, 1.3], (6, 8)).astype(np.float32)
    data = rng.random((20, 6), np.float32)
    for granularity in ("per-channel", "per-tensor"):
        model = dense(kl.Dense(8, name="d"))
        model.get_layer("d").set_weights([kernel, np.zeros(8)])
        baked = bake(prepare(model, granularity=granularity, calibration=[data]))  # type: ignore[arg-type]
        weights = np.asarray(baked.get_layer("d").kernel)
        assert np.array_equal(weights == 0, kernel == 0)
        if granularity == "per-tensor":
            assert len(np.unique(weights)) == len(np.unique(kernel))
            assert all(len(np.unique(weights[kernel == value])) == 1 for value in np.unique(kernel))


def test_constraints_hold_on_the_kernels() -> None:
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    model = dense(kl.Dense(8, name="d"), kl.Dense(1))
    kernel = np.asarray(model.get_layer("d").kernel) * (np.arange(8) % 2)
    model.get_layer("d").kernel.assign(kernel)
    data = np.random.default_rng(0).random((64, 6), np.float32)
    training = prepare(model)
    mask = (kernel != 0).astype(np.float32)
    training.get_layer("d").kernel.constraint = lambda weights: weights * mask
    training.compile("adam", "mse")
    training.fit(data, data.sum(axis=1), epochs=2, verbose=0)
    assert np.array_equal(np.asarray(bake(training).get_layer("d").kernel) == 0, kernel == 0)


def test_a_norm_that_cannot_be_folded_is_frozen() -> None:
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    i = keras.Input((8, 8, 2))
    x = kl.BatchNormalization(name="norm")(kl.MaxPooling2D(2)(kl.Conv2D(4, 3, name="conv")(i)))
    model = keras.Model(i, kl.Dense(1)(kl.Flatten()(kl.ReLU()(x))))
    data = np.random.default_rng(0).random((32, 8, 8, 2), np.float32)
    training = prepare(model)
    training.compile("adam", "mse")
    training.fit(data, data.sum(axis=(1, 2, 3)), verbose=0)
    for ours, theirs in zip(model.get_layer("norm").weights, bake(training).get_layer("norm").weights, strict=True):
        assert np.array_equal(ours, theirs)
    result = quantize_model(bake(training), data[:16])
    assert result.ranges.trained == 4


def test_calibration_sees_what_inference_does() -> None:
    """No Dropout, which would double half of the values; in batches, of which the mean counts."""
    from keras import layers as kl

    from tinyml_sdk.compress.qat import prepare

    data = np.full((128, 6), 2.0, np.float32)
    data[64:] = 4.0
    training = prepare(dense(kl.Dropout(0.5), kl.Dense(1, name="d")), calibration=[data])
    ends = {layer.name: layer.learnt() for layer in training.layers if type(layer).__name__ == "MovingRange"}
    assert ends.popitem() == ("d_range", training.get_layer("d_range").learnt())
    assert [*ends.values()] == [(0.0, 3.0)]


def refused(make: Callable[[Any], list[Any]], shape: tuple[int, ...]) -> InputError:
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import prepare

    with pytest.raises(InputError) as caught:
        prepare(keras.Sequential([keras.Input(shape), *make(kl)], name="model"))
    assert caught.value.hint
    return caught.value


def test_what_cannot_be_trained_is_named() -> None:
    said = refused(lambda kl: [kl.LSTM(3, name="memory")], (4, 2))
    assert str(said) == "model: layer 'memory': is a recurrent layer (LSTM), which cannot be trained for int8"
    said = refused(lambda kl: [kl.Dense(3), kl.Activation("elu", name="bent")], (4,))
    assert str(said) == "model: layer 'bent': (Activation, elu) cannot be trained for int8"
    assert "'deep_activation': (Activation, gelu)" in str(refused(lambda kl: [kl.Dense(3, "gelu", name="deep")], (4,)))
    assert "(LayerNormalization)" in str(refused(lambda kl: [kl.LayerNormalization()], (4,)))
    assert "(ReLU)" in str(refused(lambda kl: [kl.Dense(3), kl.ReLU(3.0)], (4,)))
    assert "(Conv3D, linear)" in str(refused(lambda kl: [kl.Conv3D(3, 2)], (4, 4, 4, 1)))


def test_a_layer_given_as_an_activation_function() -> None:
    """It is no linear layer: nothing is folded through it, and int8 stores what comes before it."""
    from keras import layers as kl

    from tinyml_sdk.compress.qat import fold_affine, prepare

    model = dense(kl.Dense(3, activation=kl.LeakyReLU(), name="d"), kl.BatchNormalization(), kl.ReLU())
    assert "BatchNormalization" in {type(layer).__name__ for layer in fold_affine(model).layers}
    assert {"d", "d_range", "d_activation_range"} <= {layer.name for layer in prepare(model).layers}
    with pytest.raises(InputError, match="layer 'd': has a PReLU layer with weights as its activation function"):
        prepare(dense(kl.Dense(3, activation=kl.PReLU(), name="d")))


def test_other_refusals() -> None:
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    twice = kl.Dense(6, name="twice")
    with pytest.raises(InputError, match="layer 'twice': is used several times"):
        prepare(dense(twice, twice))
    i = keras.Input((6,))
    together = kl.Concatenate()([kl.Dense(3, activation="sigmoid", name="gate")(i), kl.Dense(3)(i)])
    with pytest.raises(InputError, match="'gate_activation': its scale is prescribed"):
        prepare(keras.Model(i, together))
    with pytest.raises(InputError, match="'per-group' is no granularity"):
        prepare(dense(kl.Dense(3)), granularity="per-group")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="momentum of 1"):
        prepare(dense(kl.Dense(3)), momentum=1.0)
    with pytest.raises(InputError, match="has seen no activations"):
        bake(prepare(dense(kl.Dense(3))))
    with pytest.raises(InputError, match="no layer in quantization-aware training"):
        bake(dense(kl.Dense(3)))


def test_a_baked_model_is_quantized_as_it_was_trained() -> None:
    import keras
    from keras import layers as kl

    from tinyml_sdk.compress.qat import bake, prepare

    data = np.random.default_rng(0).random((20, 6), np.float32)
    baked = bake(prepare(dense(kl.Dense(3)), granularity="per-tensor", calibration=[data]))
    with pytest.raises(InputError, match="was trained for per-tensor weights") as caught:
        quantize_model(baked, data)
    assert caught.value.hint == "give --per-tensor"
    i = keras.Input((6,))
    with pytest.raises(InputError, match="was trained for int8 and is now used as a layer"):
        quantize_model(keras.Model(i, kl.Dense(2)(baked(i))), data, granularity="per-tensor")
