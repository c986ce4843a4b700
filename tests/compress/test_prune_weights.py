"""Pruned Keras models: which layers, how many zeros, and the schedule in a real fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tools import require_tool

from tinyml_sdk.compress.weights.pruning import cubic_share, gradual_pruning, prune_weights
from tinyml_sdk.errors import InputError


@given(st.floats(0.01, 0.99), st.integers(1, 500), st.integers(0, 600))
def test_the_schedule_is_equation_1_of_zhu_and_gupta(final: float, ramp: int, step: int) -> None:
    """s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n Δt))³ with s_i = t_0 = 0, for t up to n Δt."""
    t = min(step, ramp)
    assert final * cubic_share(step, ramp) == pytest.approx(final + (0 - final) * (1 - t / ramp) ** 3)
    assert cubic_share(ramp, ramp) == 1


@pytest.fixture
def keras() -> Any:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(7)
    return keras


def network(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((16,)), layers.Dense(8, name="deep")], name="inner")
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, name="conv", padding="same")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise", padding="same")(x)
    x = layers.SeparableConv2D(16, 3, name="separable")(x)
    x = layers.Conv2DTranspose(16, 2, name="up")(x)
    x = inner(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(4, name="head", activation="softmax")(x))


def kernels(model: Any) -> dict[str, np.ndarray]:
    layer = model.get_layer
    return {
        "conv": layer("conv").kernel.numpy(),
        "separable": layer("separable").pointwise_kernel.numpy(),
        "up": layer("up").kernel.numpy(),
        "inner/deep": layer("inner").get_layer("deep").kernel.numpy(),
        "head": layer("head").kernel.numpy(),
    }


def zeros(array: np.ndarray) -> int:
    return int((array == 0).sum())


@pytest.mark.slow
def test_global_sparsity_is_exact_and_the_rest_of_the_model_is_the_same(keras: Any, tmp_path: Path) -> None:
    model = network(keras)
    before = [weight.numpy() for weight in model.weights]
    pruned = prune_weights(model, sparsity=0.6)
    found = kernels(pruned.model)
    assert [layer.layer for layer in pruned.layers] == list(found)
    total = sum(layer.weights for layer in pruned.layers)
    assert sum(layer.zeros for layer in pruned.layers) == round(0.6 * total)
    for layer in pruned.layers:
        assert (layer.weights, layer.zeros) == (found[layer.layer].size, zeros(found[layer.layer]))
    for old, kept, new in zip(before, model.weights, pruned.model.weights, strict=True):
        assert np.array_equal(old, kept), "the model given was changed"
        after = new.numpy()
        assert ((after == old) | (after == 0)).all()
        if not new.path.endswith(("kernel", "pointwise_kernel")) or "depthwise" in new.path:
            assert np.array_equal(after, old)
    pruned.model.save(tmp_path / "pruned.keras")
    again = keras.models.load_model(tmp_path / "pruned.keras")
    assert {name: zeros(array) for name, array in kernels(again).items()} == {
        layer.layer: layer.zeros for layer in pruned.layers
    }
    assert prune_weights(pruned.model, sparsity=0.6).layers == pruned.layers


@pytest.mark.slow
def test_layers_overrides_threshold_and_patterns(keras: Any) -> None:
    model = network(keras)
    one = prune_weights(model, sparsity=0.5, layers=["head"], overrides={"depthwise": 0.25, "conv": 0})
    assert [(layer.layer, layer.sparsity) for layer in one.layers] == [("depthwise", 0.25), ("head", 0.5)]

    by_threshold = kernels(prune_weights(model, threshold=0.1).model)
    for name, old in kernels(model).items():
        assert np.array_equal(by_threshold[name], np.where(np.abs(old) < np.float32(0.1), 0, old))

    patterned = kernels(prune_weights(model, pattern="2:4").model)
    assert (np.count_nonzero(patterned["conv"], axis=-2) == 2).all()  # 3 channels: a short group
    for name in ("separable", "inner/deep", "head"):
        array = patterned[name]
        groups = array.reshape(*array.shape[:-2], -1, 4, array.shape[-1])
        assert (np.count_nonzero(groups, axis=-2) == 2).all()
    up = patterned["up"]  # (height, width, outputs, inputs)
    assert (np.count_nonzero(up.reshape(*up.shape[:-1], -1, 4), axis=-1) == 2).all()

    blocks = kernels(prune_weights(model, pattern="1x4", sparsity=0.5, scope="layer").model)["separable"]
    block = np.count_nonzero(blocks.reshape(1, 1, 2, 4, 16), axis=-2)
    assert sorted(np.unique(block)) == [0, 4]
    assert (block == 0).mean() == 0.5


@pytest.mark.slow
def test_bad_input(keras: Any) -> None:
    model = network(keras)
    for options, says in (
        ({"sparsity": 1.0}, "sparsity of 1"),
        ({"sparsity": 0.5, "overrides": {"haed": 0.5}}, "'haed'"),
        ({"sparsity": 0.5, "layers": ["norm"]}, "'norm'"),
        ({"threshold": 100.0}, "above all of its weights"),
        ({"pattern": "2:4", "layers": ["depthwise"]}, "depthwise"),
        ({"sparsity": 0.5, "layers": ["head"], "overrides": {"head": 0}}, "spared"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            prune_weights(model, **options)
        assert caught.value.hint
        if says == "'haed'":
            assert "'head'" in caught.value.hint
    with pytest.raises(InputError, match="no dense or convolutional"):
        prune_weights(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()]), sparsity=0.5)
    with pytest.raises(InputError, match="no weights yet"):
        prune_weights(keras.Sequential([keras.layers.Dense(4)]), sparsity=0.5)
    for options in ({"steps": 0}, {"end": 0.0}, {"end": 1.5}, {"every": 0}):
        with pytest.raises(InputError), gradual_pruning(model, **({"steps": 10, "sparsity": 0.5} | options)):
            pass
    kernel = model.get_layer("head").kernel
    kernel.assign(kernel * float("nan"))
    with pytest.raises(InputError, match="NaN"):
        prune_weights(model, sparsity=0.5)


@contextmanager
def recorded(keras: Any, kernel: Any) -> Iterator[tuple[Any, list[np.ndarray]]]:
    """A callback that keeps the kernel after each batch."""
    seen: list[np.ndarray] = []
    yield keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(kernel.numpy())), seen


def data(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((count, 12)).astype(np.float32)
    return x, (x[:, :3].argmax(1)).astype(np.int32)


def dense_network(keras: Any, optimizer: Any, **compile_options: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(20, "relu", name="hidden"), layers.Dense(3, name="head")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **compile_options)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True])
def test_gradual_pruning_follows_the_schedule_and_holds_in_between(keras: Any, jit: bool) -> None:
    model = dense_network(keras, keras.optimizers.AdamW(0.02, weight_decay=0.01), jit_compile=jit)
    x, y = data()
    model.fit(x, y, batch_size=8, verbose=0)  # a step that was traced without masks
    kernel = model.get_layer("hidden").kernel
    steps, ramp = 40, 30
    with recorded(keras, kernel) as (recorder, seen):
        with gradual_pruning(model, steps, sparsity=0.8, scope="layer", every=4) as callback:
            model.fit(x, y, batch_size=8, epochs=5, verbose=0, callbacks=[callback, recorder])
        assert kernel.constraint is None
    due = 0
    for step, values in enumerate(seen, start=1):
        if step == ramp or (step < ramp and step % 4 == 0):
            due = step
        assert zeros(values) == int(np.floor(0.8 * cubic_share(due, ramp) * values.size + 0.5)), step
    for earlier, later in pairwise(seen):
        assert not later[earlier == 0].any()
    assert zeros(kernel.numpy()) == 192
    assert zeros(model.get_layer("head").kernel.numpy()) == 48
    model.fit(x, y, batch_size=8, verbose=0)
    assert zeros(kernel.numpy()) == 0, "released, every weight trains again"


@pytest.mark.slow
def test_gradual_pruning_ends_at_the_target_whatever_happens(keras: Any) -> None:
    x, y = data()
    model = dense_network(keras, "adam")
    with gradual_pruning(model, 1000, pattern="1:4") as callback:
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[callback])  # stopped long before
    kernel = model.get_layer("hidden").kernel.numpy()
    assert (np.count_nonzero(kernel.reshape(3, 4, 20), axis=1) == 1).all()

    model = dense_network(keras, "adam")
    with pytest.raises(KeyboardInterrupt), gradual_pruning(model, 10, sparsity=0.5):
        raise KeyboardInterrupt
    assert model.get_layer("hidden").kernel.constraint is None
    assert zeros(model.get_layer("hidden").kernel.numpy()) == 0


@pytest.mark.slow
def test_gradual_pruning_of_a_part_of_the_model_that_is_trained(keras: Any) -> None:
    """As a student is within a distiller; the outer model was compiled and trained before, some steps at a time."""
    x, y = data()
    model = dense_network(keras, "adam")
    start = keras.Input((12,))
    outer = keras.Model(start, keras.layers.Dense(3)(model(start)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    outer.compile("adam", loss, steps_per_execution=3)
    outer.fit(x, y, batch_size=8, verbose=0)
    kernel = model.get_layer("hidden").kernel
    with (
        recorded(keras, kernel) as (recorder, seen),
        gradual_pruning(model, 24, sparsity=0.5, scope="layer") as callback,
    ):
        outer.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[callback, recorder])
    assert all(not later[earlier == 0].any() for earlier, later in pairwise(seen))
    assert zeros(seen[-1]) == zeros(kernel.numpy()) == 120


@pytest.mark.slow
def test_wrapped_layers_are_pruned_and_recurrent_ones_are_not(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 6)),
            layers.TimeDistributed(layers.Dense(8), name="each"),
            layers.Bidirectional(layers.LSTM(4), name="both"),
            layers.Dense(2, name="head"),
        ]
    )
    done = prune_weights(model, sparsity=0.5, scope="layer")
    assert [(layer.layer, layer.weights, layer.zeros) for layer in done.layers] == [("each", 48, 24), ("head", 16, 8)]


@pytest.mark.slow
def test_a_model_that_was_trained_with_a_loss_of_its_own(keras: Any) -> None:
    """Keras copies a compiled model with its loss, and fails for all but its own."""
    start = keras.Input((24,))
    hidden = keras.layers.Dense(24, name="hidden")(start)
    for model in (keras.Model(start, hidden), keras.Sequential([start, keras.layers.Dense(24)])):
        model.compile("adam", loss=lambda truth, output: (truth - output) ** 2)
        model.fit(np.zeros((4, 24)), np.zeros((4, 24)), verbose=0)
        assert not prune_weights(model, sparsity=0.5).model.compiled
        assert model.compiled
