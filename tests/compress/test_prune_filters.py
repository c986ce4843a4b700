"""Pruning by ratio and by budget: what is left, that it still runs, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.keras_zoo import ZOO, assert_same_outputs, random_inputs, randomize, zoo_model
from support.tools import require_tool

from tinyml_sdk.compress.filters.channels import analyze_channels
from tinyml_sdk.compress.filters.importance import IMPORTANCES, filter_scores
from tinyml_sdk.compress.filters.pruning import FilterPruning, prune_filters
from tinyml_sdk.compress.filters.rebuild import mask
from tinyml_sdk.compress.macs import count_macs, weight_bytes
from tinyml_sdk.errors import InputError
from tinyml_sdk.quantize.loading import read_keras

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models")) / "keras"


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")


def sizes(pruning: FilterPruning) -> dict[str, tuple[int, int]]:
    return {group.layers[0]: (group.before, group.after) for group in pruning.groups}


def chain(*widths: int) -> Any:
    import keras
    from keras import layers

    hidden = [layers.Dense(width, activation="relu", name=f"hidden{place}") for place, width in enumerate(widths)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, activation="softmax", name="out")])
    randomize(model)
    return model


@pytest.mark.parametrize(
    ("ratio", "multiple", "after"),
    [
        (0.0, 4, [16, 10, 3]),
        (0.5, 4, [8, 8, 3]),  # 5 of 10 become 8; 3 are fewer than a multiple and all stay
        (0.5, 1, [8, 5, 2]),
        (0.6, 1, [7, 4, 2]),  # 10 * (1 - 0.6) is 4, and not a rounding error more
        (0.99, 4, [4, 4, 3]),
        (0.99, 1, [1, 1, 1]),
        (0.25, 5, [15, 10, 3]),
    ],
)
def test_ratio_and_multiple(ratio: float, multiple: int, after: list[int]) -> None:
    pruning = prune_filters(chain(16, 10, 3), ratio=ratio, multiple=multiple)
    assert [group.after for group in pruning.groups] == after
    assert [pruning.model.get_layer(f"hidden{place}").units for place in range(3)] == after
    assert [(one.layer, one.reason) for one in pruning.locked] == [("out", "it makes an output of the model")]


def test_the_least_important_go() -> None:
    model = chain(8)
    layer = model.get_layer("hidden0")
    kernel = np.ones((6, 8)) * np.array([5, 1, 7, 2, 8, 3, 6, 4])
    layer.kernel.assign(kernel)
    pruned = prune_filters(model, ratio=0.5).model
    assert np.array_equal(pruned.get_layer("hidden0").kernel, kernel[:, [0, 2, 4, 6]])


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_by_half(name: str) -> None:
    model = zoo_model(name)
    analysis = analyze_channels(model)
    scores = filter_scores(model, analysis, "l2")
    pruning = prune_filters(model, ratio=0.5)
    kept = {
        group: np.argsort(-scores[group], kind="stable")[: report.after]
        for group, report in zip(analysis.groups, pruning.groups, strict=True)
    }
    assert_same_outputs(pruning.model, mask(model, analysis, kept))


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_every_importance(importance: Any) -> None:
    inputs, labels = np.random.default_rng(0).standard_normal((12, 6)), np.arange(12) % 3
    pruning = prune_filters(chain(16, 8), ratio=0.5, importance=importance, inputs=inputs, labels=labels)
    assert sizes(pruning) == {"hidden0": (16, 8), "hidden1": (8, 4)}


def test_overrides_reach_all_that_goes_together() -> None:
    pruning = prune_filters(zoo_model("residual"), ratio=0.5, overrides={"back": 0.0, "inner": 2 / 3})
    assert [(group.layers, group.after) for group in pruning.groups] == [(("stem", "back"), 8), (("inner",), 4)]


@pytest.mark.parametrize(("what", "count"), [("max_macs", count_macs), ("max_weight_bytes", weight_bytes)])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_budgets_hold_and_are_used(what: str, count: Any, share: float) -> None:
    """Within the budget, and with one step less it would not be."""
    model = zoo_model("squeeze_and_excite")
    model = chain(32, 24, 16) if what == "max_weight_bytes" else model
    most = int(count(model) * share)
    pruning = prune_filters(model, **{what: most}, multiple=2)
    assert count(pruning.model) <= most
    assert count(pruning.model) > 0.6 * most
    assert all(group.after % 2 == 0 or group.after == group.before for group in pruning.groups)
    assert all(group.after >= min(2, group.before) for group in pruning.groups)


def test_a_budget_that_holds_already_removes_nothing() -> None:
    model = chain(16, 10)
    pruning = prune_filters(model, max_macs=count_macs(model))
    assert [group.after for group in pruning.groups] == [16, 10]


def test_a_budget_takes_what_matters_least() -> None:
    """Half of the units of one layer are nearly dead: they go first, and those of the other stay."""
    model = chain(16, 16)
    model.get_layer("hidden1").kernel.assign(model.get_layer("hidden1").kernel * ([1.0, 0.001] * 8))
    pruning = prune_filters(model, max_macs=16 * 6 + 16 * 8 + 8 * 3)
    assert sizes(pruning) == {"hidden0": (16, 16), "hidden1": (16, 8)}


def test_overrides_are_fixed_under_a_budget() -> None:
    pruning = prune_filters(chain(16, 16), max_macs=200, overrides={"hidden0": 0.0})
    assert sizes(pruning)["hidden0"] == (16, 16)
    assert sizes(pruning)["hidden1"][1] < 16


def test_the_given_model_is_not_touched() -> None:
    model = chain(16, 8)
    model.compile("sgd", "mse")
    before = [weight.copy() for weight in model.get_weights()]
    prune_filters(model, ratio=0.5)
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert model.compiled
    assert len(model.layers[0]._inbound_nodes) == 1


def test_fine_tuning_the_result() -> None:
    import keras

    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((128, 6)).astype(np.float32)
    labels = inputs[:, :3].argmax(axis=1)
    model = prune_filters(chain(16, 8), ratio=0.5).model
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    history = model.fit(inputs, labels, epochs=15, batch_size=32, verbose=0, shuffle=False).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


# -- real models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "locked"),
    [("ic", {"dense"}), ("vww", {"dense"})],
)
def test_files_of_keras_2_by_half(name: str, locked: set[str], tmp_path: Path) -> None:
    import keras

    path = CORPUS / f"mlperf_tiny_{name}.h5"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    model = read_keras(path, name)
    analysis = analyze_channels(model)
    scores = filter_scores(model, analysis, "l2")
    pruning = prune_filters(model, ratio=0.5)
    assert {one.layer for one in pruning.locked} == locked
    assert all(group.after == group.before // 2 for group in pruning.groups)
    # Both of a convolution's sides shrink, a depthwise one's only one.
    assert count_macs(pruning.model) < 0.31 * count_macs(model)
    assert weight_bytes(pruning.model) < 0.29 * weight_bytes(model)
    kept = {group: np.argsort(-scores[group], kind="stable")[: group.size // 2] for group in analysis.groups}
    inputs = random_inputs(model, 2)
    assert_same_outputs(pruning.model, mask(model, analysis, kept), inputs)
    pruning.model.save(tmp_path / "pruned.keras")
    assert_same_outputs(keras.models.load_model(tmp_path / "pruned.keras"), pruning.model, inputs)


# -- refused --------------------------------------------------------------------------------------------------------

SAMPLES = np.zeros((12, 6))
REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, "", "nothing says how much", "ratio=0.5"),
    ({"ratio": 0.5, "max_macs": 10}, "", "ratio and max_macs", "ratio=0.5"),
    ({"ratio": 1.0}, "ratio", "1.0 removes all filters", "keeps half"),
    ({"ratio": 50}, "ratio", "not a share", "keeps half"),
    ({"ratio": -0.1}, "ratio", "not a share", "keeps half"),
    ({"ratio": float("nan")}, "ratio", "not a share", "keeps half"),
    ({"ratio": 0.5, "multiple": 0}, "multiple", "no number to round to", "4"),
    ({"max_macs": 0}, "max_macs", "leaves no model", "board"),
    ({"max_macs": 10}, "max_macs", r"out of reach: the least is 52", "multiple"),
    ({"max_weight_bytes": 70}, "max_weight_bytes", r"out of reach: the least is 96", "multiple"),
    ({"ratio": 0.5, "overrides": {"hiden1": 0.5}}, "hiden1", "no such layer", "'hidden1'"),
    ({"ratio": 0.5, "overrides": {"zzz": 0.5}}, "zzz", "no such layer", "hidden0, hidden1"),
    ({"ratio": 0.5, "overrides": {"out": 0.5}}, "out", "must stay: it makes an output", "leave it out"),
    ({"ratio": 0.5, "overrides": {"drop": 0.5}}, "drop", "no filters of its own", "hidden0"),
    ({"ratio": 0.5, "overrides": {"hidden0": 1.0}}, "hidden0", "removes all", "keeps half"),
    ({"ratio": 0.5, "importance": "best"}, "", "'best' is not known", "geometric_median"),
    ({"ratio": 0.5, "importance": "gradient", "inputs": SAMPLES}, "labels", "needs labels", "l2"),
    ({"ratio": 0.5, "importance": "activation"}, "inputs", "needs samples", "training data"),
    ({"ratio": 0.5, "importance": "activation", "inputs": SAMPLES[:9]}, "inputs", "9 samples are too few", "100"),
]


@pytest.mark.parametrize(("options", "where", "message", "hint"), REFUSED)
def test_refused(options: dict[str, Any], where: str, message: str, hint: str) -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, name="hidden0"),
            layers.Dropout(0.1, name="drop"),
            layers.Dense(8, name="hidden1"),
            layers.Dense(3, name="out"),
        ]
    )
    with pytest.raises(InputError, match=message) as caught:
        prune_filters(model, **options)
    assert where in caught.value.where
    assert hint in caught.value.hint


def test_overrides_that_contradict_each_other() -> None:
    with pytest.raises(InputError, match="go together") as caught:
        prune_filters(zoo_model("residual"), ratio=0.5, overrides={"stem": 0.5, "back": 0.25})
    assert "back" in caught.value.where


def test_nothing_to_prune_says_why() -> None:
    import keras

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, name="only")])
    with pytest.raises(InputError, match="no filters that can be removed") as caught:
        prune_filters(model, ratio=0.5)
    assert caught.value.hint == "only: it makes an output of the model"


def test_weights_that_are_nan() -> None:
    model = chain(8)
    model.get_layer("hidden0").bias.assign([np.nan] * 8)
    with pytest.raises(InputError, match="NaN") as caught:
        prune_filters(model, ratio=0.5)
    assert "hidden0/bias" in caught.value.where
    assert "diverged" in caught.value.hint
