"""Small Keras models, one for each way in which channels travel. Keras is imported when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def residual(keras: Any, layers: Any) -> Any:
    i = keras.Input((8, 8, 2))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(i)
    x = layers.ReLU()(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.Conv2D(12, 3, padding="same", activation="sigmoid", name="inner")(x)
    y = layers.Conv2D(8, 1, name="back")(y)
    x = layers.Activation("tanh")(layers.Add()([x, y]))
    return keras.Model(i, layers.Dense(3, name="out")(layers.GlobalAveragePooling2D()(x)))


def depthwise(keras: Any, layers: Any) -> Any:
    i = keras.Input((9, 8, 2))
    x = layers.DepthwiseConv2D(3, name="of_input")(i)
    x = layers.Conv2D(8, 1, activation="relu6", name="pointwise")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, activation="sigmoid", name="depthwise")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="doubled")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization(name="bn")(x))
    return keras.Model(i, layers.Conv2D(3, 1, name="out")(x))


def concatenated(keras: Any, layers: Any) -> Any:
    """A sum of concatenations that are split at different places."""
    i = keras.Input((6, 6, 2))
    a = layers.Conv2D(8, 3, padding="same", name="a")(i)
    b = layers.Conv2D(4, 3, padding="same", activation="elu", name="b")(i)
    c = layers.Conv2D(12, 1, name="c")(i)
    x = layers.Add()([layers.Concatenate()([a, b]), c])
    x = layers.Concatenate()([x, b, i])
    x = layers.BatchNormalization(name="bn")(x)
    rows = layers.Concatenate(axis=1)(
        [layers.Conv2D(8, 1, name="d")(x), layers.Conv2D(8, 3, padding="same", name="e")(x)]
    )
    return keras.Model(i, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(rows)))


def flattened_image(keras: Any, layers: Any) -> Any:
    return keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2),
            layers.Flatten(name="flat"),
            layers.BatchNormalization(name="bn"),
            layers.Dense(12, activation="gelu", name="hidden"),
            layers.Dropout(0.3),
            layers.Dense(4, name="out"),
        ]
    )


def separable(keras: Any, layers: Any) -> Any:
    i = keras.Input((8, 8, 2))
    x = layers.SeparableConv2D(8, 3, name="first")(i)
    x = layers.SeparableConv2D(12, 3, depth_multiplier=3, activation="softplus", use_bias=False, name="second")(x)
    return keras.Model(i, layers.SeparableConv2D(2, 3, name="out")(x))


def squeeze_and_excite(keras: Any, layers: Any) -> Any:
    """Both spellings of the gate."""
    i = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, name="stem")(i)
    s = layers.Conv2D(4, 1, activation="relu", name="squeeze")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid", name="excite")(s)])
    s = layers.Dense(4, activation="relu", name="squeeze2")(layers.GlobalAveragePooling2D()(x))
    s = layers.Reshape((1, 1, 8), name="gate")(layers.Dense(8, activation="hard_sigmoid", name="excite2")(s))
    x = layers.Multiply()([x, s])
    spatial = layers.Conv2D(1, 1, activation="sigmoid", name="where")(x)
    return keras.Model(i, layers.Conv2D(3, 3, name="out")(layers.Multiply()([x, spatial])))


def one_dimension(keras: Any, layers: Any) -> Any:
    i = keras.Input((24, 3))
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, name="conv")(i)
    x = layers.PReLU(shared_axes=[1], name="slopes")(layers.BatchNormalization(name="bn")(x))
    y = layers.SeparableConv1D(8, 3, padding="same", name="separable")(x)
    x = layers.Maximum()([x, layers.DepthwiseConv1D(3, padding="same", name="depthwise")(y)])
    x = layers.UpSampling1D(2)(layers.Cropping1D(2)(layers.AveragePooling1D(2)(layers.ZeroPadding1D(2)(x))))
    x = layers.SpatialDropout1D(0.1)(x)
    x = layers.Conv1DTranspose(8, 3, strides=2, activation="relu", name="up")(x)
    return keras.Model(i, layers.Dense(4, name="out")(layers.GlobalMaxPooling1D()(x)))


def autoencoder(keras: Any, layers: Any) -> Any:
    """Transposed convolutions, and units that become an image: 4 positions of each of 8 channels share a fate."""
    i = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="down")(i)
    x = layers.Reshape((4, 32), name="lines")(x)
    x = layers.Dense(6, name="code")(layers.Reshape((-1,), name="row")(x))
    x = layers.Dense(32, activation="relu", name="decode")(x)
    x = layers.PReLU(name="slopes")(layers.Reshape((2, 2, 8), name="image")(x))
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    return keras.Model(i, layers.Conv2DTranspose(1, 2, strides=2, name="out")(layers.UpSampling2D(1)(x)))


def shared(keras: Any, layers: Any) -> Any:
    """Layers called twice, and operators instead of layers."""
    i, j = keras.Input((6, 6, 2), name="left"), keras.Input((6, 6, 2), name="right")
    conv, bn, deep = (
        layers.Conv2D(8, 3, name="conv"),
        layers.BatchNormalization(name="bn"),
        layers.Conv2D(8, 1, name="deep"),
    )
    relu = layers.ReLU()
    x, y = relu(bn(conv(i))), relu(bn(conv(j)))
    z = keras.ops.relu(deep(x) * 0.5 - deep(y))
    wide = relu(layers.Conv2D(16, 1, name="wide")(z))
    outputs = {
        "near": layers.Dense(2, name="near")(layers.Flatten()(wide)),
        "far": layers.Conv2D(1, 4, name="far")(z + x),
    }
    return keras.Model({"left": i, "right": j}, outputs)


def nested(keras: Any, layers: Any) -> Any:
    """A backbone as a layer, one inside it, and names that both sides use."""
    i = keras.Input((None, None, 2))
    core = keras.Sequential([keras.Input((None, None, 8)), layers.Conv2D(8, 1, name="conv")], name="core")
    x = layers.Conv2D(8, 3, name="conv")(i)
    x = core(layers.ReLU()(layers.BatchNormalization(name="bn")(x)))
    backbone = keras.Model(i, x, name="backbone")
    i = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, name="conv")(backbone(i, training=False))
    return keras.Model(i, layers.Dense(2, name="out")(layers.Flatten()(x)))


def recurrent(keras: Any, layers: Any) -> Any:
    """Recurrent layers lose inputs and keep their units."""
    i = keras.Input((7, 3))
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="conv")(i)
    x = layers.GRU(6, return_sequences=True, name="gru")(x)
    x = layers.Dense(8, activation="sigmoid", name="dense")(x)
    return keras.Model(i, layers.Dense(3, name="out")(layers.LSTM(5, name="lstm")(x)))


def siamese(keras: Any, layers: Any) -> Any:
    """One model called twice, as a layer."""
    i = keras.Input((6, 2))
    tower = keras.Model(i, layers.Conv1D(4, 1, name="last")(layers.Conv1D(8, 3, name="first")(i)), name="tower")
    left, right = keras.Input((6, 2)), keras.Input((6, 2))
    x = layers.Concatenate()([layers.Flatten()(tower(left)), layers.Flatten()(tower(right))])
    return keras.Model([left, right], layers.Dense(2, name="out")(x))


def shared_readers(keras: Any, layers: Any) -> Any:
    """Layers called with channels that have nothing else in common."""
    i = keras.Input((6, 2))
    bn, reader = layers.BatchNormalization(name="bn"), layers.Conv1D(4, 1, name="reader")
    x = reader(bn(layers.Conv1D(8, 3, name="a")(i)))
    y = reader(bn(layers.Conv1D(8, 2, name="b")(i)))
    x = layers.Concatenate()([layers.GlobalMaxPooling1D()(x), layers.GlobalMaxPooling1D()(y)])
    return keras.Model(i, layers.Dense(2, name="out")(x))


def operations(keras: Any, layers: Any) -> Any:
    """keras.ops and Python's operators in the place of layers."""
    ops = keras.ops
    i = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(i)
    x = ops.concatenate([x / 2.0, layers.Conv2D(4, 1, name="beside")(i)], axis=-1)
    x = layers.Conv2D(8, 1, name="mixed")(ops.pad(x[:, 1:5], ((0, 0), (1, 0), (0, 1), (0, 0))))
    x = layers.Permute((2, 1, 3))(ops.transpose(layers.Resizing(5, 7)(x), (0, 2, 1, 3)))
    gate = layers.Dense(8, activation="sigmoid", name="gate")(ops.mean(x, axis=(1, 2)))
    x = x * ops.reshape(gate, (-1, 1, 1, 8))
    gate = layers.Dense(8, name="gate_2")(ops.squeeze(ops.max(x, axis=[1, 2], keepdims=True), axis=1)[:, :1, :])
    x = ops.hard_sigmoid(ops.expand_dims(gate, axis=1) + 3.0) * x
    return keras.Model(i, layers.Dense(3, name="out")(layers.Flatten()(x)))


ZOO: dict[str, Callable[[Any, Any], Any]] = {
    build.__name__: build
    for build in (
        residual,
        depthwise,
        concatenated,
        flattened_image,
        separable,
        squeeze_and_excite,
        one_dimension,
        autoencoder,
        shared,
        nested,
        recurrent,
        shared_readers,
        siamese,
        operations,
    )
}


def zoo_model(name: str) -> Any:
    """A model of the zoo, with random weights everywhere, biases and batch normalizations included."""
    import keras

    model = ZOO[name](keras, keras.layers)
    randomize(model)
    return model


def randomize(model: Any, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        positive = weight.name == "moving_variance"
        values.append(rng.uniform(0.5, 2.0, shape) if positive else rng.standard_normal(shape) * 0.4)
    model.set_weights(values)


def random_inputs(model: Any, count: int = 4, seed: int = 1) -> Any:
    """Standard normal float32 samples in the structure that the model takes."""
    import keras

    rng = np.random.default_rng(seed)
    graph = getattr(model, "_functional", model)
    return keras.tree.map_structure(
        lambda tensor: rng.standard_normal((count, *tensor.shape[1:])).astype(np.float32), graph.input
    )


def outputs_of(model: Any, inputs: Any) -> list[Array]:
    import keras

    return [np.asarray(output) for output in keras.tree.flatten(model(inputs, training=False))]


def assert_same_outputs(one: Any, other: Any, inputs: Any | None = None) -> None:
    """Two models compute the same, to float32 rounding, and not just zeros."""
    inputs = random_inputs(one) if inputs is None else inputs
    for ours, theirs in zip(outputs_of(one, inputs), outputs_of(other, inputs), strict=True):
        assert np.ptp(ours) > 1e-4
        scale = float(np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * max(scale, 1.0))
