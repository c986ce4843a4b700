"""What is held, held to the last bit: real fits, with everything that moves weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk.compress.weights.clustering import cluster_weights
from tinyml_sdk.compress.weights.held import hold
from tinyml_sdk.compress.weights.pruning import prune_weights
from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture
def keras() -> Any:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(11)
    return keras


def network(keras: Any, **head: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8, "relu", name="deep")], name="inner")
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(image)
    x = inner(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(3, name="head", **head)(x))


def compiled(keras: Any, model: Any, optimizer: Any, **options: Any) -> Any:
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def fit(model: Any, epochs: int = 2) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((48, 6, 6, 2)).astype(np.float32)
    model.fit(x, rng.integers(0, 3, 48), epochs=epochs, batch_size=8, verbose=0)


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {
        "conv": model.get_layer("conv").kernel.numpy(),
        "inner/deep": model.get_layer("inner").get_layer("deep").kernel.numpy(),
        "head": model.get_layer("head").kernel.numpy(),
    }


def assert_partition(before: np.ndarray, after: np.ndarray) -> None:
    """Weights that were equal are equal, to the bit."""
    for value in np.unique(before):
        assert np.unique(after[before == value]).size == 1


OPTIMIZERS = {
    "adam": lambda optimizers: optimizers.Adam(0.02),
    "adamw": lambda optimizers: optimizers.AdamW(0.02, weight_decay=0.1),
    "nesterov": lambda optimizers: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "ema": lambda optimizers: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.5),
    "accumulating": lambda optimizers: optimizers.RMSprop(0.02, momentum=0.5, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize(("optimizer", "jit"), [*((name, False) for name in OPTIMIZERS), ("adam", True), ("ema", True)])
def test_zeros_and_clusters_hold_whatever_moves_the_weights(keras: Any, optimizer: str, jit: bool) -> None:
    pruned = prune_weights(network(keras), sparsity=0.5).model
    model = cluster_weights(pruned, clusters=4, layers=["conv", "inner/deep"]).model
    before = kernels(model)
    compiled(keras, model, OPTIMIZERS[optimizer](keras.optimizers), jit_compile=jit)
    with hold(model, zeros=before, shared=["conv", "inner/deep"]):
        fit(model)
    after = kernels(model)
    for name, values in before.items():
        assert np.array_equal(after[name] == 0, values == 0)
        assert not np.array_equal(after[name], values), "it trained"
    assert_partition(before["conv"], after["conv"])
    assert_partition(before["inner/deep"], after["inner/deep"])
    assert len(np.unique(after["head"])) > 4


def test_a_step_is_the_step_of_the_mean(keras: Any) -> None:
    """Plain SGD by hand: each cluster moves by its mean gradient, zeros not at all."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False, name="head")])
    model.get_layer("head").kernel.assign([[1.0], [1.0], [0.0], [2.0]])
    model.compile(keras.optimizers.SGD(0.5), loss=lambda y, p: p)
    x = np.array([[0.2, 0.6, 5.0, 1.0]], np.float32)  # the gradient
    with hold(model, zeros=["head"], shared=["head"]):
        model.fit(x, x[:, :1], verbose=0)
    assert model.get_layer("head").kernel.numpy().ravel() == pytest.approx([0.8, 0.8, 0.0, 1.5])


def test_without_zeros_a_cluster_at_zero_trains(keras: Any) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False, name="head")])
    model.get_layer("head").kernel.assign([[0.0], [0.0], [1.0]])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: p)
    with hold(model, shared=["head"]):
        model.fit(np.array([[1.0, 3.0, 1.0]]), np.zeros((1, 1)), verbose=0)
    assert model.get_layer("head").kernel.numpy().ravel() == pytest.approx([-2.0, -2.0, 0.0])


def test_weights_that_already_hold_are_not_touched(keras: Any) -> None:
    """Means of equal numbers, rounded as sums and quotients are, would creep."""
    model = cluster_weights(network(keras), clusters=5).model
    before = kernels(model)
    compiled(keras, model, keras.optimizers.SGD(0.0))
    with hold(model, shared=before):
        fit(model)
    assert all(np.array_equal(values, before[name]) for name, values in kernels(model).items())


def test_own_constraints_go_before_and_stay_after(keras: Any) -> None:
    model = network(keras, kernel_constraint=keras.constraints.NonNeg())
    head = model.get_layer("head").kernel
    head.assign(abs(head))
    model = prune_weights(model, sparsity=0.5, scope="layer").model
    head = model.get_layer("head").kernel
    own, before = head.constraint, head.numpy()
    compiled(keras, model, keras.optimizers.Adam(0.1))
    with hold(model, zeros=["head"]):
        fit(model)
    assert (head.numpy() >= 0).all()
    assert not head.numpy()[before == 0].any()
    assert head.constraint is own


def test_a_model_that_was_trained_before_is_held_too(keras: Any) -> None:
    model = prune_weights(network(keras), sparsity=0.5).model
    compiled(keras, model, "adam")
    zero = {name: values == 0 for name, values in kernels(model).items()}
    fit(model)
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.where(zero["conv"], 0, kernel.numpy()))
    with hold(model, zeros=["conv"]):
        fit(model)
    assert not kernels(model)["conv"][zero["conv"]].any()
    fit(model)
    assert kernels(model)["conv"][zero["conv"]].any(), "and is free again"


def test_an_interrupt_releases_and_leaves_what_holds(keras: Any) -> None:
    model = prune_weights(network(keras), sparsity=0.5).model
    kernel = model.get_layer("conv").kernel
    zero = kernel.numpy() == 0
    with pytest.raises(KeyboardInterrupt), hold(model, zeros=["conv"]):
        kernel.assign(kernel + 1.0)
        raise KeyboardInterrupt
    assert kernel.constraint is None
    assert np.array_equal(kernel.numpy() == 0, zero)


def test_unknown_layers(keras: Any) -> None:
    with pytest.raises(InputError, match="'hed'") as caught, hold(network(keras), zeros=["hed"]):
        pass
    assert "'head'" in caught.value.hint
