"""Batch norms folded into the layers before them: the same outputs, and only where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _keras() -> None:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(5)


def sequential(shape: tuple[int, ...], *layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers], name="model")


def folded_and_equal(model: Any) -> Any:
    """The folded model, after comparing all outputs, with batch norms that are not the identity."""
    from keras import tree

    from tinyml_sdk.compress.qat import fold_affine

    rng = np.random.default_rng(3)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.path or "gamma" in variable.path else -1.0
        variable.assign(rng.uniform(low, 1.5, variable.shape))
    before = [np.array(weights) for weights in model.get_weights()]
    folded = fold_affine(model)
    inputs = [rng.standard_normal((5, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    given = inputs[0] if len(inputs) == 1 else inputs
    for ours, theirs in zip(tree.flatten(folded(given)), tree.flatten(model(given)), strict=True):
        scale = np.abs(np.asarray(theirs)).max()
        assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() <= 1e-5 * max(scale, 1)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    return folded


def norms(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if type(layer).__name__ == "BatchNormalization"]


KINDS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "conv": ((8, 8, 3), lambda kl: kl.Conv2D(4, 3, use_bias=False, name="layer")),
    "conv1d": ((8, 3), lambda kl: kl.Conv1D(4, 3, name="layer")),
    "groups": ((8, 8, 4), lambda kl: kl.Conv2D(6, 3, groups=2, name="layer")),
    "depthwise": ((8, 8, 3), lambda kl: kl.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="layer")),
    "depthwise1d": ((8, 3), lambda kl: kl.DepthwiseConv1D(3, depth_multiplier=2, name="layer")),
    "separable": ((8, 8, 3), lambda kl: kl.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=False, name="layer")),
    "separable1d": ((8, 3), lambda kl: kl.SeparableConv1D(5, 3, name="layer")),
    "transposed": ((4, 4, 3), lambda kl: kl.Conv2DTranspose(5, 3, strides=2, name="layer")),
    "transposed1d": ((4, 3), lambda kl: kl.Conv1DTranspose(5, 3, use_bias=False, name="layer")),
    "dense": ((6,), lambda kl: kl.Dense(5, name="layer")),
    "dense of rows": ((4, 6), lambda kl: kl.Dense(5, use_bias=False, name="layer")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plain", [False, True])
def test_each_kind_of_layer(kind: str, plain: bool) -> None:
    from keras import layers as kl

    shape, make = KINDS[kind]
    model = sequential(shape, make(kl), kl.BatchNormalization(center=not plain, scale=not plain), kl.ReLU())
    folded = folded_and_equal(model)
    assert norms(folded) == []
    assert folded.get_layer("layer").use_bias


def test_where_it_stays() -> None:
    """Between an activation and a pooling, behind a layer with another reader or two uses, and across another axis."""
    import keras
    from keras import layers as kl

    i = keras.Input((8, 8, 3))
    x = kl.Conv2D(4, 3, activation="relu")(i)
    x = kl.BatchNormalization(name="after_activation")(x)
    x = kl.BatchNormalization(name="before_a_layer")(kl.MaxPooling2D(2)(x))
    y = kl.Conv2D(4, 1)(x)
    y = kl.Add()([y, kl.BatchNormalization(name="beside")(y)])
    z = kl.BatchNormalization(name="rows", axis=1)(kl.Conv2D(4, 1)(y))
    shared = kl.Conv2D(4, 1)
    w = kl.BatchNormalization(name="shared")(shared(z))
    folded = folded_and_equal(keras.Model(i, [w, shared(y)]))
    assert norms(folded) == ["after_activation", "beside", "rows", "shared"]


def test_models_used_as_layers_are_dissolved() -> None:
    import keras
    from keras import layers as kl

    inner = sequential((8, 8, 3), kl.Conv2D(4, 3, name="conv"), kl.BatchNormalization())
    i = keras.Input((8, 8, 3))
    folded = folded_and_equal(keras.Model(i, kl.Dense(2)(kl.Flatten()(inner(i)))))
    assert norms(folded) == []
    assert folded.get_layer("conv")


def test_inputs_and_outputs_keep_their_structure() -> None:
    import keras
    from keras import layers as kl

    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    model = keras.Model({"a": a, "b": b}, {"y": kl.BatchNormalization()(kl.Dense(3)(a)), "z": kl.Dense(2)(b)})
    from tinyml_sdk.compress.qat import fold_affine

    folded = fold_affine(model)
    data = {"b": np.ones((2, 4), np.float32), "a": np.ones((2, 6), np.float32)}
    assert set(folded(data)) == {"y", "z"}
    for key, value in model(data).items():
        assert np.allclose(value, folded(data)[key], atol=1e-5)


def test_what_has_no_graph() -> None:
    import keras

    from tinyml_sdk.compress.qat import fold_affine

    class Mine(keras.Model):
        pass

    for model, said in ((Mine(), "is a Mine"), (keras.Sequential([keras.layers.Dense(2)]), "has no input shape")):
        with pytest.raises(InputError, match=said):
            fold_affine(model)


def test_constants_are_folded_like_batch_norms() -> None:
    """Before and behind layers, as `Rescaling`, `Normalization` and arithmetic; through which zeros are padded, not."""
    import keras
    from keras import layers as kl

    i = keras.Input((8, 8, 4))
    x = kl.Conv2D(4, 3, name="first")(kl.Rescaling(1 / 127.5, offset=-1.0, name="scaled")(i))
    x = kl.ReLU()(2.0 - kl.DepthwiseConv2D(3, padding="same", name="depthwise")(x) * 0.5)
    x = kl.SeparableConv2D(6, 2, depth_multiplier=2, name="separable")(kl.BatchNormalization(name="before")(x))
    x = kl.Conv2DTranspose(4, 2, name="up")(x / 3.0)
    x = kl.Rescaling(0.5, offset=0.1, name="kept")(kl.ReLU()(x))
    x = kl.Conv2D(6, 3, groups=2, padding="same", name="padded")(x)
    x = kl.Flatten()(kl.Normalization(mean=np.arange(6.0), variance=np.arange(1.0, 7.0), name="normal")(x))
    folded = folded_and_equal(keras.Model(i, kl.Dense(3)(x)))
    names = {layer.name for layer in folded.layers}
    assert {"kept", "padded"} <= names
    assert names.isdisjoint({"scaled", "before", "normal"})
    assert not [name for name in names if name.startswith(("multiply", "subtract", "true_divide", "divide"))]


def test_a_constant_that_several_layers_read() -> None:
    """It is gone where all of them can take it in; where one cannot it stays for all."""
    import keras
    from keras import layers as kl

    i = keras.Input((8, 8, 3))
    x = kl.Rescaling(0.1, offset=1.0, name="gone")(i)
    x = kl.ReLU()(kl.Add()([kl.Conv2D(4, 3)(x), kl.Conv2D(4, 3)(x)]))
    x = kl.Rescaling(0.1, offset=1.0, name="stays")(x)
    x = kl.Concatenate()([kl.Conv2D(4, 3, padding="same")(x), kl.Conv2D(4, 1)(x)])
    folded = folded_and_equal(keras.Model(i, x))
    assert [layer.name for layer in folded.layers if type(layer).__name__ == "Rescaling"] == ["stays"]
