"""Clustered Keras models."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk.compress.weights.clustering import cluster_weights
from tinyml_sdk.compress.weights.pruning import prune_weights
from tinyml_sdk.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture
def model() -> Any:
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ]
    )


def kernel(model: Any, name: str) -> np.ndarray:
    values: np.ndarray = model.get_layer(name).kernel.numpy()
    return values


@pytest.mark.parametrize("init", ["linear", "density", "kmeans++"])
def test_few_values_that_are_what_the_result_says(model: Any, init: Any, tmp_path: Path) -> None:
    import keras

    before = {name: kernel(model, name) for name in ("conv", "depthwise", "head")}
    done = cluster_weights(model, clusters=8, init=init)
    assert [layer.layer for layer in done.layers] == ["conv", "head"]
    for layer in done.layers:
        after = kernel(done.model, layer.layer)
        values, counts = np.unique(after, return_counts=True)
        assert layer.codebook == tuple(values)
        assert len(values) == 8
        share = counts / after.size
        assert layer.entropy_bits == pytest.approx(-(share * np.log2(share)).sum())
        assert 0 < layer.entropy_bits <= 3
        old = before[layer.layer]
        assert layer.relative_error == pytest.approx(np.linalg.norm(after - old) / np.linalg.norm(old))
        assert np.abs(after - old) == pytest.approx(np.abs(old[..., None] - values).min(axis=-1), abs=1e-6)
    for name, values in before.items():
        assert np.array_equal(kernel(model, name), values)
    assert np.array_equal(kernel(done.model, "depthwise"), before["depthwise"])
    done.model.save(tmp_path / "clustered.keras")
    again = cluster_weights(keras.models.load_model(tmp_path / "clustered.keras"), clusters=8, init=init)
    assert [layer.codebook for layer in again.layers] == [layer.codebook for layer in done.layers]
    assert all(layer.relative_error == 0 for layer in again.layers)


def test_more_clusters_less_error_and_more_bits(model: Any) -> None:
    done = [cluster_weights(model, clusters=k, layers=["head"]).layers[0] for k in (2, 4, 16, 64)]
    for fewer, more in pairwise(done):
        assert more.relative_error < fewer.relative_error
        assert more.entropy_bits > fewer.entropy_bits


def test_zeros_stay_and_are_one_of_the_values(model: Any) -> None:
    pruned = prune_weights(model, sparsity=0.7).model
    done = cluster_weights(pruned, clusters=4)
    for layer in done.layers:
        assert np.array_equal(kernel(done.model, layer.layer) == 0, kernel(pruned, layer.layer) == 0)
        assert 0.0 in layer.codebook
        assert len(layer.codebook) == 4
    loose = cluster_weights(pruned, clusters=4, keep_zeros=False, layers=["conv"])
    assert len(loose.layers[0].codebook) == 4
    with pytest.raises(InputError, match="zeros to keep"):
        cluster_weights(pruned, clusters=2)


def test_bad_input(model: Any) -> None:
    for options, says in (
        ({"clusters": 1}, "1 clusters"),
        ({"clusters": 5000}, "5000 clusters"),
        ({"init": "random"}, "no init"),
        ({"layers": ["cnov"]}, "'cnov'"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            cluster_weights(model, **options)
        assert caught.value.hint
    weights = model.get_layer("conv").kernel
    weights.assign(weights * float("inf"))
    with pytest.raises(InputError, match="NaN or infinite"):
        cluster_weights(model)
