"""Factorised Keras models: equal where nothing is lost, smaller where they say so, and left alone where not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tools import require_tool

from tinyml_sdk.compress.low_rank.factorizing import low_rank
from tinyml_sdk.compress.low_rank.factors import DECOMPOSITIONS
from tinyml_sdk.compress.low_rank.layers import Chain, with_chains
from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def keras() -> Any:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(5)
    return keras


def samples(model: Any, count: int = 3) -> Any:
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((count, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


def assert_same_outputs(one: Any, other: Any) -> None:
    x = samples(one)
    assert np.asarray(other(x)) == pytest.approx(np.asarray(one(x)), abs=2e-4)


def at_full_rank(model: Any, layer: Any, method: Any) -> Any:
    """Factorised whether it pays or not."""
    whole = DECOMPOSITIONS[method](layer.kernel.numpy())
    factors = whole.factors(whole.full)
    chain = Chain.in_place_of(layer, method, whole.shapes(factors.rank), {})
    copy = with_chains(model, {layer.name: chain})
    for step, kernel in zip(chain.layers, factors.kernels, strict=True):
        step.kernel.assign(kernel)
    if layer.use_bias:
        chain.layers[-1].bias.assign(layer.bias)
    return copy


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    rank = draw(st.sampled_from([1, 2]))
    strides = [draw(st.integers(1, 3)) for _ in range(rank)]
    dilation = 1 if max(strides) > 1 else draw(st.integers(1, 2))
    paddings = ["valid", "same", "causal"][: 4 - rank]
    return {
        "filters": draw(st.integers(1, 5)),
        "kernel_size": [draw(st.integers(1, 4)) for _ in range(rank)],
        "strides": strides,
        "dilation_rate": dilation,
        "padding": draw(st.sampled_from(paddings)),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from(["relu", "linear"])),
    }


@settings(max_examples=40)
@given(convolutions(), st.integers(1, 4), st.sampled_from(["svd", "tucker2", "spatial"]))
def test_a_convolution_at_full_rank_is_itself(options: dict[str, Any], channels: int, method: Any) -> None:
    import keras

    flat = len(options["kernel_size"]) == 1
    if flat and method == "spatial":
        method = "svd"
    kind = keras.layers.Conv1D if flat else keras.layers.Conv2D
    layer = kind(**options, name="conv", bias_initializer="random_normal")
    size = (11,) if flat else (11, 9)
    model = keras.Sequential([keras.Input((*size, channels)), layer])
    assert_same_outputs(model, at_full_rank(model, layer, method))


def test_dense_at_full_rank_is_itself_on_any_number_of_axes(keras: Any) -> None:
    for shape in ((7,), (4, 7), (2, 3, 7)):
        layer = keras.layers.Dense(5, "tanh", bias_initializer="random_normal", name="dense")
        model = keras.Sequential([keras.Input(shape), layer])
        assert_same_outputs(model, at_full_rank(model, layer, "svd"))


@settings(max_examples=15)
@given(st.data())
def test_graphs_keep_their_shape_whatever_it_is(data: st.DataObject) -> None:
    """Branches, residuals and concatenations, every layer of them factorised at full rank."""
    import keras

    layers = keras.layers
    tensors = [
        keras.Input((6, 6, channels)) for channels in data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    ]
    inputs = list(tensors)
    for number in range(data.draw(st.integers(1, 6))):
        source = data.draw(st.sampled_from(tensors))
        kind = data.draw(st.sampled_from(["conv", "dense", "residual", "concatenate", "operator"]))
        if kind == "conv":
            made = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv_{number}")(source)
        elif kind == "dense":
            made = layers.Dense(3, name=f"dense_{number}")(source)
        elif kind == "residual":
            made = layers.Add()([source, layers.Conv2D(source.shape[-1], 1, name=f"point_{number}")(source)])
        elif kind == "concatenate":
            made = layers.Concatenate()([source, data.draw(st.sampled_from(tensors))])
        else:
            made = source * 0.5 + 1.0
        tensors.append(made)
    output = layers.Dense(2, name="head")(layers.Concatenate()(tensors))
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], output)
    small = model
    for layer in model.layers:
        if layer.weights:
            method = "svd" if isinstance(layer, layers.Dense) else data.draw(st.sampled_from(["svd", "tucker2"]))
            small = at_full_rank(small, small.get_layer(layer.name), method)
    assert_same_outputs(model, small)


def test_cp_of_a_kernel_that_is_one(keras: Any) -> None:
    rng = np.random.default_rng(3)
    for kind, window in ((keras.layers.Conv2D, (3, 3)), (keras.layers.Conv1D, (5,))):
        layer = kind(8, window, strides=2, padding="same", name="conv", bias_initializer="random_normal")
        model = keras.Sequential([keras.Input((*[9] * len(window), 6)), layer])
        sides = [rng.standard_normal((side, 2)) for side in (int(np.prod(window)), 6, 8)]
        layer.kernel.assign(np.einsum("pr,ir,or->pio", *sides).reshape(*window, 6, 8) / 5)
        done = low_rank(model, ranks={"conv": 2}, method="cp")
        assert [step.name for step in done.model.layers] == ["conv_reduce", "conv_core", "conv"]
        assert "Depthwise" in type(done.model.layers[1]).__name__
        assert done.layers[0].relative_error < 1e-4
        x = samples(model)
        assert np.asarray(done.model(x)) == pytest.approx(np.asarray(model(x)), abs=1e-2)


def network(keras: Any) -> Any:
    """Two inputs, a residual, a shared layer, a nested model, groups, a constraint, and a dictionary of outputs."""
    layers = keras.layers
    image, extra = keras.Input((12, 12, 8), name="image"), keras.Input((16,), name="extra")
    inner = keras.Sequential([keras.Input((32,)), layers.Dense(32, name="deep")], name="inner")
    shared = layers.Dense(32, name="shared")
    x = layers.Conv2D(24, 3, padding="same", activation="relu", name="conv")(image)
    y = layers.Conv2D(24, 3, padding="same", name="residual")(x)
    x = layers.Add(name="add")([layers.BatchNormalization(name="norm")(y), x])
    x = layers.Conv2D(32, 3, groups=8, name="grouped")(x)
    x = layers.Conv2D(32, 3, strides=2, kernel_constraint="non_neg", name="constrained")(x)
    x = inner(shared(shared(layers.GlobalAveragePooling2D()(x))))
    x = layers.Concatenate()([x, extra])
    x = layers.Dense(40, "relu", name="dense")(x)
    return keras.Model([image, extra], layers.Dense(3, name="head")(x) * 0.5)


def test_what_is_done_and_what_is_left(keras: Any, tmp_path: Path) -> None:
    model = network(keras)
    before = model.get_weights()
    done = low_rank(model, ratio=0.5)
    assert [facts.layer for facts in done.layers] == ["conv", "residual", "dense", "head"]
    left = dict(done.left)
    assert set(left) == {"grouped", "constrained", "shared", "inner/deep"}
    assert "groups" in left["grouped"]
    assert "constraint" in left["constrained"]
    assert "2 places" in left["shared"]
    assert "model" in left["inner/deep"]
    for facts in done.layers:
        assert facts.parameters_after <= 0.5 * facts.parameters_before
        assert facts.macs_after <= facts.macs_before
        chain = [
            layer
            for layer in done.model.layers
            if layer.name in (facts.layer, f"{facts.layer}_reduce", f"{facts.layer}_core")
        ]
        assert sum(layer.kernel.numpy().size for layer in chain) == facts.parameters_after
        assert model.get_layer(facts.layer).kernel.numpy().size == facts.parameters_before
        last = done.model.get_layer(facts.layer)
        old = model.get_layer(facts.layer)
        assert last.activation is old.activation
        assert np.array_equal(last.bias.numpy(), old.bias.numpy())
        assert all(layer.activation.__name__ == "linear" for layer in chain[:-1])
    conv = done.layers[0]
    assert (conv.parameters_before, conv.macs_before) == (9 * 8 * 24, 9 * 8 * 24 * 144)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert np.array_equal(done.model.get_layer("norm").gamma.numpy(), model.get_layer("norm").gamma.numpy())
    done.model.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    assert np.array_equal(np.asarray(again(samples(model))), np.asarray(done.model(samples(model))))


def test_low_rank_kernels_are_found_and_the_model_is_equal(keras: Any) -> None:
    model = network(keras)
    rng = np.random.default_rng(4)
    dense, conv = model.get_layer("dense").kernel, model.get_layer("residual").kernel
    dense.assign(rng.standard_normal((48, 3)) @ rng.standard_normal((3, 40)) / 20)
    sides = (rng.standard_normal(shape) for shape in ((24, 4), (3, 3, 4, 5), (5, 24)))
    conv.assign(np.einsum("ia,hwab,bo->hwio", *sides) / 50)
    done = low_rank(model, energy=1.0, layers=["dense", "residual"])
    assert [(facts.layer, facts.method, facts.rank) for facts in done.layers] == [
        ("residual", "tucker2", (4, 5)),
        ("dense", "svd", (3,)),
    ]
    assert_same_outputs(model, done.model)
    names = [layer.name for layer in done.model.layers]
    assert names.index("residual_reduce") < names.index("residual_core") < names.index("residual")
    twice = low_rank(done.model, ranks={"residual": 2})
    assert {"residual_reduce", "residual_reduce_2"} <= {layer.name for layer in twice.model.layers}


def test_more_is_kept_less_is_lost(keras: Any) -> None:
    model = network(keras)
    for method in ("auto", "svd", "tucker2", "spatial", "cp"):
        errors = [
            low_rank(model, ratio=ratio, method=method, layers=["residual"]).layers[0].relative_error
            for ratio in (0.2, 0.5, 0.8)
        ]
        assert all(later < earlier for earlier, later in pairwise(errors)), method
    by_method = [
        low_rank(model, ratio=0.5, method=method, layers=["residual"]).layers[0].relative_error
        for method in ("auto", "svd", "tucker2", "spatial")
    ]
    assert by_method[0] == min(by_method)
    kept = low_rank(model, energy=0.6, layers=["residual", "dense"])
    assert all(facts.relative_error**2 <= 0.4 + 1e-6 for facts in kept.layers)


def test_sequential_and_trained_on(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((40, 6), name="signal"),
            layers.Conv1D(24, 5, padding="causal", dilation_rate=2, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(20, name="dense"),
        ],
        name="gestures",
    )
    done = low_rank(model, ratio=0.4).model
    assert isinstance(done, keras.Sequential)
    assert (done.name, done.inputs[0].name, done.output_shape) == ("gestures", "signal", (None, 20))
    done.compile("adam", "mse")
    done.fit(np.zeros((4, 40, 6)), np.zeros((4, 20)), verbose=0)


def test_strides_that_a_pointwise_first_layer_would_not_take_are_counted(keras: Any) -> None:
    """A strided window makes few outputs; a pointwise layer before it runs over all inputs."""
    model = keras.Sequential([keras.Input((32, 32, 16)), keras.layers.Conv2D(16, 2, strides=4, name="conv")])
    with pytest.raises(InputError, match="MACs instead of") as caught:
        low_rank(model, ranks={"conv": (12, 12)})
    assert "no layer gets smaller" in str(caught.value)


def test_bad_input(keras: Any) -> None:
    model = network(keras)
    for options, says in (
        ({}, "how much"),
        ({"energy": 0.9, "ratio": 0.5}, "both"),
        ({"energy": 0.0}, "energy of 0"),
        ({"energy": 1.01}, "energy of 1.01"),
        ({"energy": float("nan")}, "energy of nan"),
        ({"ratio": 1.0}, "ratio of 1"),
        ({"ratio": 0.5, "method": "qr"}, "no method"),
        ({"energy": 0.9, "method": "cp"}, "cp has no"),
        ({"ratio": 0.5, "layers": ["denes"]}, "'denes'"),
        ({"ranks": {"dense": 41}}, "rank of 41"),
        ({"ranks": {"dense": 0}}, "rank of 0"),
        ({"ranks": {"dense": (2, 2)}}, "2 x 2"),
        ({"ranks": {"dense": 40}}, "weights instead of"),
        ({"ratio": 0.001, "layers": ["dense"]}, "at any rank"),
        ({"ratio": 0.5, "layers": ["shared"]}, "2 places"),
        ({"ratio": 0.5, "method": "spatial", "layers": ["grouped"]}, "groups"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            low_rank(model, **options)
        assert caught.value.hint
    model.get_layer("dense").kernel.assign(np.full((48, 40), np.nan))
    with pytest.raises(InputError, match="NaN"):
        low_rank(model, ratio=0.5)
    with pytest.raises(InputError, match="size is open"):
        low_rank(keras.Sequential([keras.Input((None, 8)), keras.layers.Conv1D(8, 3)]), ratio=0.5)


def test_a_model_that_was_trained_with_a_loss_of_its_own(keras: Any) -> None:
    """Keras copies a compiled model with its loss, and fails for all but its own."""
    start = keras.Input((24,))
    hidden = keras.layers.Dense(24, name="hidden")(start)
    for model in (keras.Model(start, hidden), keras.Sequential([start, keras.layers.Dense(24)])):
        model.compile("adam", loss=lambda truth, output: (truth - output) ** 2)
        model.fit(np.zeros((4, 24)), np.zeros((4, 24)), verbose=0)
        assert not low_rank(model, ratio=0.5).model.compiled
        assert model.compiled
