"""The smaller model computes what the masked one does, whatever the way its channels travel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.keras_zoo import ZOO, assert_same_outputs, outputs_of, random_inputs, randomize, zoo_model
from support.tools import require_tool

from tinyml_sdk.compress.filters.channels import Analysis, Group, analyze_channels
from tinyml_sdk.compress.filters.rebuild import mask, rebuild
from tinyml_sdk.compress.replay import flattened
from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow

Kept = dict[Group, np.ndarray]


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


def random_half(analysis: Analysis, seed: int = 2) -> Kept:
    """Any half of each group, out of order: which places and how many must not matter."""
    rng = np.random.default_rng(seed)
    return {group: rng.permutation(group.size)[: (group.size + 1) // 2] for group in analysis.groups}


@pytest.mark.parametrize("name", ZOO)
def test_rebuilt_equals_masked(name: str) -> None:
    model = zoo_model(name)
    before = [weight.copy() for weight in model.get_weights()]
    analysis = analyze_channels(model)
    kept = random_half(analysis)
    small, masked = rebuild(model, analysis, kept), mask(model, analysis, kept)
    assert_same_outputs(small, masked)
    assert small.count_params() < 0.8 * model.count_params()
    assert masked.count_params() == model.count_params()
    flat = flattened(model)
    assert [layer.name for layer in small.layers] == [layer.name for layer in flat.layers]
    assert small.name == model.name
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    # The removed channels did matter: this is no comparison of models that ignore them.
    full = outputs_of(model, random_inputs(model))
    assert any(np.abs(a - b).max() > 1e-2 for a, b in zip(full, outputs_of(small, random_inputs(model)), strict=True))


@pytest.mark.parametrize("name", ZOO)
def test_nothing_removed_changes_nothing(name: str) -> None:
    model = zoo_model(name)
    analysis = analyze_channels(model)
    for same in (rebuild(model, analysis, {}), mask(model, analysis, {})):
        assert same.count_params() == model.count_params()
        for ours, theirs in zip(
            outputs_of(same, random_inputs(model)), outputs_of(model, random_inputs(model)), strict=True
        ):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", ZOO)
def test_the_result_can_be_saved_and_cloned(name: str, tmp_path: Path) -> None:
    import keras

    model = zoo_model(name)
    analysis = analyze_channels(model)
    small = rebuild(model, analysis, random_half(analysis))
    small.save(tmp_path / "small.keras")
    assert_same_outputs(keras.models.load_model(tmp_path / "small.keras"), small)
    clone = keras.models.clone_model(small)
    clone.set_weights(small.get_weights())
    assert_same_outputs(clone, small)
    # Pruned again: its own analysis is that of any model.
    again = analyze_channels(small)
    kept = random_half(again)
    assert_same_outputs(rebuild(small, again, kept), mask(small, again, kept))


def test_settings_of_layers_stay() -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((8, 3), name="signal"),
            layers.Conv1D(
                8,
                3,
                padding="same",
                kernel_regularizer=keras.regularizers.L2(0.01),
                bias_constraint=keras.constraints.MaxNorm(2.0),
                dtype="mixed_float16",
                name="conv",
            ),
            layers.BatchNormalization(momentum=0.7, epsilon=0.01, name="bn"),
            layers.Dense(4, activation="silu", name="dense"),
            layers.Dense(2, name="out"),
        ]
    )
    model.get_layer("bn").trainable = False
    model.compile("adam", "mse")
    analysis = analyze_channels(model)
    small = rebuild(model, analysis, {analysis.groups[0]: [1, 2, 7]})
    assert isinstance(small, keras.Sequential)
    conv, bn, dense = (small.get_layer(name) for name in ("conv", "bn", "dense"))
    assert (conv.filters, dense.units) == (3, 4)
    assert float(conv.kernel_regularizer.l2) == pytest.approx(0.01)
    assert conv.bias_constraint.max_value == 2.0
    assert conv.dtype_policy.name == "mixed_float16"
    assert (bn.momentum, bn.epsilon, bn.trainable) == (0.7, 0.01, False)
    assert dense.activation is keras.activations.silu
    assert [tuple(weight.shape) for weight in bn.weights] == [(3,)] * 4
    assert small.inputs[0].name == "signal"
    assert np.array_equal(conv.bias, model.get_layer("conv").bias.numpy()[[1, 2, 7]])


def test_a_layer_frozen_by_its_model_is_called_the_same_way() -> None:
    """`backbone(x, training=False)` keeps batch statistics as they are while the rest is trained."""
    model = zoo_model("nested")
    inputs = random_inputs(model)
    flat = flattened(model)
    assert np.allclose(model(inputs, training=True), flat(inputs, training=True), atol=1e-5)
    assert {"backbone_conv", "backbone_core_conv", "conv", "bn"} <= {layer.name for layer in flat.layers}
    assert flattened(flat) is flat


def test_a_lambda_of_the_users_own_is_kept() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4, 2))
    x = layers.Conv1D(4, 1, name="behind")(layers.Lambda(lambda t: t * 2.0, name="twice")(inputs))
    model = keras.Model(inputs, layers.Dense(1, name="out")(layers.Flatten()(x)))
    randomize(model)
    analysis = analyze_channels(model)
    kept = random_half(analysis)
    assert_same_outputs(rebuild(model, analysis, kept), mask(model, analysis, kept))


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([], "no channel would be left"),
        ([0, 0, 1], "distinct integers"),
        ([0.5, 1.0], "distinct integers"),
        ([3, 8], "8 channels, 0 to 7"),
        ([-1, 2], "8 channels, 0 to 7"),
    ],
)
def test_places_that_are_none(places: list[Any], message: str) -> None:
    model = zoo_model("residual")
    analysis = analyze_channels(model)
    with pytest.raises(InputError, match=message) as caught:
        rebuild(model, analysis, {analysis.groups[0]: places})
    assert "stem" in caught.value.where


def test_groups_of_another_model() -> None:
    other = analyze_channels(zoo_model("separable"))
    model = zoo_model("residual")
    with pytest.raises(InputError, match="no group of this model"):
        rebuild(model, analyze_channels(model), {other.groups[0]: [0]})


# -- random graphs --------------------------------------------------------------------------------------------------

STEPS = (
    "conv",
    "depthwise",
    "separable",
    "bn",
    "prelu",
    "pool",
    "add",
    "multiply",
    "concat",
    "gate",
    "mix",
    "operation",
)


def step_of(step: str, x: Any, same_width: Any, any_width: Any, filters: int) -> Any:
    """One more tensor from others of a graph, all of one height and width."""
    import keras
    from keras import layers

    if step == "conv":
        return layers.Conv2D(filters, 3, padding="same", activation="sigmoid")(x)
    if step == "depthwise":
        return layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + filters % 2)(x)
    if step == "separable":
        return layers.SeparableConv2D(filters, 3, padding="same")(x)
    if step == "bn":
        return layers.BatchNormalization()(x)
    if step == "prelu":
        return layers.PReLU(shared_axes=[1, 2] if filters % 2 else [3])(x)
    if step == "pool":
        return layers.MaxPooling2D(2, strides=1, padding="same")(x)
    if step == "add":
        return layers.Add()([x, same_width])
    if step == "multiply":
        return layers.Multiply()([x, same_width])
    if step == "concat":
        return layers.Concatenate()([x, any_width])
    if step == "gate":
        return layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(same_width)])
    if step == "mix":
        return layers.LayerNormalization()(x)
    return keras.ops.tanh(x - same_width) * 2.0


def random_graph(draw: Any) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 2))
    tensors = [inputs, layers.Conv2D(4, 3, padding="same")(inputs)]
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=9)):
        x = draw(st.sampled_from(tensors))
        same_width = draw(st.sampled_from([one for one in tensors if one.shape[-1] == x.shape[-1]]))
        made = step_of(step, x, same_width, draw(st.sampled_from(tensors)), draw(st.sampled_from([1, 3, 4, 6])))
        if made.shape[-1] <= 24:
            tensors.append(made)
    last = layers.Flatten()(tensors[-1]) if draw(st.booleans()) else layers.GlobalAveragePooling2D()(tensors[-1])
    hidden = layers.Dense(5, activation="tanh")(layers.Concatenate()([last, layers.Flatten()(tensors[1])]))
    return keras.Model(inputs, layers.Dense(2)(hidden))


@settings(max_examples=25)
@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    """Never a broken shape, never another function than the masked model's."""
    import keras

    keras.backend.clear_session()
    model = random_graph(data.draw)
    randomize(model, data.draw(st.integers(0, 1000)))
    analysis = analyze_channels(model)
    kept = {group: sorted(data.draw(st.sets(st.integers(0, group.size - 1), min_size=1))) for group in analysis.groups}
    small, masked = rebuild(model, analysis, kept), mask(model, analysis, kept)
    for ours, theirs in zip(
        outputs_of(small, random_inputs(model)), outputs_of(masked, random_inputs(model)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))
    assert all(0 not in weight.shape for weight in small.weights)
