"""MACs and bytes against what is counted by hand, and against the operators that models become."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.keras_zoo import ZOO, random_inputs, zoo_model
from support.tools import require_tool

from tinyml_sdk import quantize_model
from tinyml_sdk.compress.filters.budget import CostModel
from tinyml_sdk.compress.filters.channels import analyze_channels
from tinyml_sdk.compress.filters.importance import filter_scores
from tinyml_sdk.compress.filters.pruning import prune_filters
from tinyml_sdk.compress.filters.rebuild import rebuild
from tinyml_sdk.compress.macs import count_macs, layer_costs, weight_bytes
from tinyml_sdk.errors import InputError
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.quantize.loading import read_keras

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models")) / "keras"


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


# Input, layer, its options, MACs, bytes of weights and biases
LAYERS: list[tuple[tuple[int, ...], str, dict[str, Any], int, int]] = [
    ((8,), "Dense", {"units": 3}, 24, 24 + 12),
    ((5, 8), "Dense", {"units": 3, "use_bias": False}, 5 * 24, 24),
    ((9, 2), "Conv1D", {"filters": 4, "kernel_size": 3}, 7 * 3 * 2 * 4, 24 + 16),
    ((8, 6, 2), "Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, 12 * 72, 72 + 16),
    ((8, 6, 4), "Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, 24 * 9 * 2 * 4, 72 + 16),
    ((8, 2), "DepthwiseConv1D", {"kernel_size": 3}, 6 * 3 * 2, 6 + 8),
    ((8, 6, 2), "DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 3}, 24 * 9 * 6, 54 + 24),
    (
        (8, 6, 2),
        "SeparableConv2D",
        {"filters": 5, "kernel_size": 3, "depth_multiplier": 2},
        24 * 9 * 4 + 24 * 4 * 5,
        36 + 20 + 20,
    ),
    ((8, 6, 2), "Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, 48 * 9 * 2 * 4, 72 + 16),
    ((7, 3), "LSTM", {"units": 5}, 7 * 4 * 5 * (3 + 5), 4 * 5 * (3 + 5) + 4 * 20),
    ((7, 3), "GRU", {"units": 5}, 7 * 3 * 5 * (3 + 5), 3 * 5 * (3 + 5) + 4 * 30),
    ((8, 6, 2), "BatchNormalization", {}, 0, 2 * 2),
    ((8, 6, 2), "PReLU", {"shared_axes": [1, 2]}, 0, 2),
    ((8, 6, 2), "MaxPooling2D", {}, 0, 0),
]


@pytest.mark.parametrize(
    ("shape", "kind", "options", "macs", "size"), LAYERS, ids=[f"{row[1]}{row[0]}" for row in LAYERS]
)
def test_layers(shape: tuple[int, ...], kind: str, options: dict[str, Any], macs: int, size: int) -> None:
    import keras

    model = keras.Sequential([keras.Input(shape), getattr(keras.layers, kind)(**options)])
    assert (count_macs(model), weight_bytes(model)) == (macs, size)


def test_both_directions_count() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((7, 3)), layers.Bidirectional(layers.LSTM(5))])
    assert (count_macs(model), weight_bytes(model)) == (2 * 7 * 160, 2 * (160 + 80))


def test_a_normalization_becomes_the_bias_of_the_layer_before_it() -> None:
    """But not where there is an activation between them, or something else reads the layer as well."""
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 2))

    def size(make: Any) -> int:
        return weight_bytes(keras.Model(inputs, make()))

    def conv(**options: Any) -> Any:
        return layers.Conv2D(3, 1, **options)(inputs)

    assert size(lambda: layers.BatchNormalization()(conv())) == 6 + 12
    assert size(lambda: layers.BatchNormalization()(conv(use_bias=False))) == 6 + 12
    assert size(lambda: layers.BatchNormalization()(conv(activation="relu"))) == 6 + 12 + 6
    assert size(lambda: layers.BatchNormalization()(layers.ReLU()(conv(use_bias=False)))) == 6 + 6

    def read_twice() -> Any:
        x = conv()
        return layers.Add()([x, layers.BatchNormalization()(x)])

    assert size(read_twice) == 6 + 12 + 6


def test_a_shared_layer_works_twice_and_is_stored_once() -> None:
    costs = {cost.layer: cost for cost in layer_costs(zoo_model("shared"))}
    assert costs["conv"].macs == 2 * 16 * 9 * 2 * 8
    assert costs["conv"].weight_bytes == 9 * 2 * 8 + 4 * 8


@pytest.mark.parametrize("what", ["macs", "weight bytes"])
@pytest.mark.parametrize("name", ZOO)
def test_costs_without_rebuilding(name: str, what: Any) -> None:
    """What a budget is searched with is what the rebuilt model costs."""
    model = zoo_model(name)
    analysis = analyze_channels(model)
    scores = filter_scores(model, analysis, "l1")
    costs = CostModel(model, analysis, scores, what)
    count = count_macs if what == "macs" else weight_bytes
    assert costs.total({group: group.size for group in analysis.groups}) == count(model)
    left = {group: 1 + group.size // 3 for group in analysis.groups}
    kept = {group: np.argsort(-scores[group], kind="stable")[:size] for group, size in left.items()}
    assert costs.total(left) == count(rebuild(model, analysis, kept))
    for group in analysis.groups:
        assert costs.total(left) + costs.change(left, group, 1) == costs.total(left | {group: 1})


@pytest.mark.parametrize("name", ["digits", "ic", "ic pruned"])
def test_the_int8_file_costs_what_was_told(name: str) -> None:
    """MACs and constants of the file that the converter makes of the model, byte for byte; ic has normalizations."""
    import keras

    path = CORPUS / "mlperf_tiny_ic.h5" if "ic" in name.split() else ROOT / "examples" / "digits" / "digits.keras"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    model = read_keras(path, name)
    if "pruned" in name:
        model = prune_filters(model, max_macs=3_000_000, multiple=1).model
    result = quantize_model(model, {model.inputs[0].name: keras.tree.flatten(random_inputs(model, 12))[0]})
    # Not the shapes of reshapes, which are int32 vectors as biases are.
    graph = parse_graph(result.content)
    read = {index for op in graph.ops if op.name != "RESHAPE" for index in op.inputs}
    constants = [tensor.data for tensor in graph.tensors if tensor.index in read and tensor.data is not None]
    assert result.macs == count_macs(model)
    assert sum(data.nbytes for data in constants) == weight_bytes(model)


@pytest.mark.parametrize(("name", "macs"), [("ad", 264_192), ("ic", 12_501_632), ("vww", 7_489_664)])
def test_mlperf_tiny(name: str, macs: int) -> None:
    """As counted in the published int8 files."""
    path = CORPUS / f"mlperf_tiny_{name}.h5"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    assert count_macs(read_keras(path, name)) == macs


def test_a_shape_that_is_not_fixed() -> None:
    import keras

    model = keras.Sequential([keras.Input((None, 2)), keras.layers.Conv1D(4, 3, name="conv")])
    with pytest.raises(InputError, match="only the batch may be open") as caught:
        count_macs(model)
    assert "conv" in caught.value.where
