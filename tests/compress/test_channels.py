"""Which channels go together, and which must stay and why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.keras_zoo import assert_same_outputs, randomize, zoo_model
from support.tools import require_tool

from tinyml_sdk.compress.filters.channels import analyze_channels
from tinyml_sdk.compress.filters.rebuild import mask, rebuild
from tinyml_sdk.errors import InputError

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


GROUPS: dict[str, list[tuple[tuple[str, ...], int]]] = {
    "residual": [(("stem", "back"), 8), (("inner",), 12)],
    "depthwise": [(("pointwise",), 8)],
    # c's first eight filters meet a's, its last four b's.
    "concatenated": [(("a", "c"), 8), (("b", "c"), 4), (("d", "e"), 8)],
    "flattened_image": [(("conv",), 8), (("hidden",), 12)],
    "separable": [(("first",), 8), (("second",), 12)],
    "squeeze_and_excite": [
        (("stem", "excite", "excite2"), 8),
        (("squeeze",), 4),
        (("squeeze2",), 4),
        (("where",), 1),
    ],
    "one_dimension": [(("conv", "separable"), 8), (("up",), 8)],
    # Of decode's 32 units those of a channel of the image go together, and 8 channels of it there are.
    "autoencoder": [(("down",), 8), (("code",), 6), (("decode",), 8), (("up",), 4)],
    "shared": [(("conv", "deep"), 8), (("wide",), 16)],
    "recurrent": [(("conv",), 8), (("dense",), 8)],
    # `reader` and `bn` take a's and b's channels in turn.
    "shared_readers": [(("a", "b"), 8), (("reader",), 4)],
    "siamese": [(("first",), 8), (("last",), 4)],
    "nested": [(("backbone_conv",), 8), (("backbone_core_conv",), 8), (("conv",), 4)],
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups(name: str) -> None:
    analysis = analyze_channels(zoo_model(name))
    found = {frozenset(group.layers): group.size for group in analysis.groups}
    assert found == {frozenset(layers): size for layers, size in GROUPS[name]}
    assert [group.index for group in analysis.groups] == list(range(len(analysis.groups)))


def test_places_of_filters_in_a_group() -> None:
    analysis = analyze_channels(zoo_model("concatenated"))
    of_b = next(group for group in analysis.groups if set(group.layers) == {"b", "c"})
    assert analysis.places(of_b, "b").tolist() == [0, 1, 2, 3]
    assert analysis.places(of_b, "c").tolist() == [-1] * 8 + [0, 1, 2, 3]
    units = analyze_channels(zoo_model("autoencoder"))
    decode = next(group for group in units.groups if group.layers == ("decode",))
    assert units.places(decode, "decode").tolist() == list(range(8)) * 4


def around(stranger: Callable[[Any, Any], Any]) -> Any:
    """Convolution `before`, something, convolution `after`, output."""
    import keras
    from keras import layers

    inputs = keras.Input((6, 6, 2))
    x = stranger(layers.Conv2D(8, 3, padding="same", name="before")(inputs), layers)
    x = layers.Dense(4, name="after")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)))


def user_layer(x: Any, layers: Any) -> Any:
    class Twice(layers.ReLU):  # type: ignore[misc, name-defined]
        """Looks like a ReLU, and need not be one."""

        def call(self, inputs: Any) -> Any:
            return inputs[..., ::-1]

    return Twice(name="odd")(x)


def ops(name: str, *arguments: Any, **options: Any) -> Callable[[Any, Any], Any]:
    def call(x: Any, _layers: Any) -> Any:
        import keras

        return getattr(keras.ops, name)(x, *arguments, **options)

    return call


STRANGERS: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("softmax layer", lambda x, layers: layers.Softmax(name="odd")(x), "is a Softmax"),
    ("softmax activation", lambda x, layers: layers.Activation("softmax", name="odd")(x), "'softmax', which mixes"),
    ("layer normalization", lambda x, layers: layers.LayerNormalization(name="odd")(x), "is a LayerNormalization"),
    ("unit normalization", lambda x, layers: layers.UnitNormalization(name="odd")(x), "is a UnitNormalization"),
    ("permutation", lambda x, layers: layers.Permute((3, 1, 2), name="odd")(x), "to another axis"),
    (
        "odd reshape",
        lambda x, layers: layers.Reshape((96, 3), name="odd")(x),
        "makes 3 channels of 8, which moves them",
    ),
    ("other axis", lambda x, layers: layers.BatchNormalization(axis=1, name="odd")(x), "another axis"),
    (
        "channels first",
        lambda x, layers: layers.MaxPooling2D(2, data_format="channels_first", name="odd")(x),
        "channels first",
    ),
    ("groups", lambda x, layers: layers.Conv2D(8, 3, groups=2, name="odd")(x), "in 2 groups"),
    (
        "depthwise softmax",
        lambda x, layers: layers.DepthwiseConv2D(3, activation="softmax", name="odd")(x),
        "mixes channels",
    ),
    ("attention", lambda x, layers: layers.MultiHeadAttention(2, 4, name="odd")(x, x), "is a MultiHeadAttention"),
    ("wrapper", lambda x, layers: layers.TimeDistributed(layers.Dense(4), name="odd")(x), "is a TimeDistributed"),
    ("lambda", lambda x, layers: layers.Lambda(lambda t: t[..., ::-1], name="odd")(x), "is a Lambda"),
    ("a user's layer", user_layer, "is a Twice"),
    ("offsets of a rescaling", lambda x, layers: layers.Rescaling(1.0, [0.5] * 8, name="odd")(x), "for each channel"),
    ("operation", ops("flip", axis=-1), "is a Flip"),
    ("operation with an array", ops("add", np.arange(8, dtype=np.float32)), "operation with an array"),
    ("slice", lambda x, _: x[..., :4], "takes a part of the channels"),
    ("slice of all axes", lambda x, _: x[:, 1:, :, 2:], "takes a part of the channels"),
    ("maximum of channels", ops("max", axis=-1, keepdims=True), "compares, different channels"),
    ("padded channels", ops("pad", [[0, 0], [0, 0], [0, 0], [0, 1]]), "pads the channels"),
]


@pytest.mark.parametrize(("stranger", "reason"), [row[1:] for row in STRANGERS], ids=[row[0] for row in STRANGERS])
def test_what_cannot_be_followed_is_locked_by_name(stranger: Callable[[Any, Any], Any], reason: str) -> None:
    """And the rest of the model can still be pruned."""
    model = around(stranger)
    randomize(model)
    analysis = analyze_channels(model)
    assert [group.layers for group in analysis.groups] == [("after",)]
    locked = {one.layer: one.reason for one in analysis.locked}
    odd = next(iter(locked.keys() - {"before", "after", "out"}))
    assert reason in locked[odd]
    assert f"its channels meet layer {odd!r}, which {locked[odd]}" == locked["before"]
    assert locked["out"] == "it makes an output of the model"
    kept = {analysis.groups[0]: [1, 3]}
    assert_same_outputs(rebuild(model, analysis, kept), mask(model, analysis, kept))


def test_functions_that_keras_cannot_make_again() -> None:
    def backwards(x: Any) -> Any:
        return x[..., ::-1]

    model = around(lambda x, layers: layers.Activation(backwards, name="odd")(x))
    analysis = analyze_channels(model)
    assert next(one for one in analysis.locked if one.layer == "odd").reason.startswith(
        "has the activation 'backwards'"
    )
    with pytest.raises(InputError, match="cannot be made again") as caught:
        rebuild(model, analysis, {})
    assert "odd" in caught.value.where
    assert "register" in caught.value.hint


def test_units_of_a_softmax_inside_the_model() -> None:
    """Attention over channels: the softmax is taken over all of them."""
    model = around(lambda x, layers: layers.Multiply()([x, layers.Dense(8, activation="softmax", name="weights")(x)]))
    analysis = analyze_channels(model)
    locked = {one.layer: one.reason for one in analysis.locked}
    assert locked["weights"] == locked["before"] == "its activation 'softmax' mixes channels"


def test_what_meets_the_input_stays() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((6, 6, 4), name="image")
    x = layers.Add()([inputs, layers.Conv2D(4, 3, padding="same", name="conv")(inputs)])
    analysis = analyze_channels(keras.Model(inputs, layers.Dense(2, name="out")(x)))
    assert not analysis.groups
    assert {one.layer: one.reason for one in analysis.locked} == {
        "conv": "its channels meet those of the input 'image'",
        "out": "it makes an output of the model",
    }


def test_a_layer_followed_in_one_call_and_not_in_another() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((6, 6, 2))
    slopes = layers.Reshape((-1, 4), name="twice")
    a, b = layers.Conv2D(8, 1, name="a")(inputs), layers.Conv2D(4, 1, name="b")(inputs)
    x = layers.Concatenate()([layers.Flatten()(slopes(a)), layers.Flatten()(slopes(b))])
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.Dense(4, name="hidden")(x)))
    analysis = analyze_channels(model)
    assert [group.layers for group in analysis.groups] == [("hidden",)]
    reasons = {one.layer: one.reason for one in analysis.locked}
    assert reasons["twice"] == "is called with different numbers of channels"
    assert (
        reasons["a"]
        == reasons["b"]
        == "its channels meet layer 'twice', which is called with different numbers of channels"
    )


def test_layers_with_more_weights_than_they_should_have() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, name="adapted"), layers.Dense(2, name="out")])
    model.get_layer("adapted").enable_lora(2)
    analysis = analyze_channels(model)
    assert not analysis.groups
    assert "lora_kernel" in analysis.locked[0].reason


def test_units_of_recurrent_layers_stay() -> None:
    locked = {one.layer: one.reason for one in analyze_channels(zoo_model("recurrent")).locked}
    assert locked.keys() == {"gru", "lstm", "out"}
    assert "recurrent" in locked["gru"]
    assert locked["lstm"].endswith("recurrent one, whose units stay")


def test_importing_the_package_imports_no_keras() -> None:
    code = (
        "import sys, tinyml_sdk.compress.filters.pruning; sys.exit(bool({'keras', 'tensorflow'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_models_without_a_graph() -> None:
    import keras

    class Own(keras.Model):  # type: ignore[misc]
        pass

    with pytest.raises(InputError, match="is a Own, whose layers cannot be followed") as caught:
        analyze_channels(Own())
    assert "functional" in caught.value.hint

    class Rewired(keras.Model):  # type: ignore[misc]
        """Has a graph, and does something else."""

        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2

    inputs = keras.Input((4,))
    with pytest.raises(InputError, match="is a Rewired"):
        analyze_channels(Rewired(inputs, keras.layers.Dense(2)(inputs)))
    with pytest.raises(InputError, match="no input shape"):
        analyze_channels(keras.Sequential([keras.layers.Dense(4)]))
