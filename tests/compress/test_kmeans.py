"""k-means on a line: against brute force, and what holds for any values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyml_sdk.compress.weights.kmeans import INITS, Init, codebook_of, nearest

weights = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-4, 4, width=32))
inits = st.sampled_from(INITS)


def error(values: np.ndarray, codebook: np.ndarray) -> float:
    return float(np.square(values - codebook[nearest(values, codebook)]).sum())


def best_error(values: np.ndarray, clusters: int) -> float:
    """The least over all ways to cut the sorted values into intervals."""
    ordered = np.sort(values.astype(np.float64))
    cuts = itertools.combinations(range(1, ordered.size), clusters - 1)
    return min(sum(np.square(part - part.mean()).sum() for part in np.split(ordered, cut)) for cut in cuts)


@pytest.mark.parametrize("init", INITS)
def test_clear_clusters_are_found(init: Init) -> None:
    values = np.array([-1.1, -0.9, 0.01, 0.02, 2.0, 2.2, 1.8])
    assert codebook_of(values, 3, init) == pytest.approx([-1.0, 0.015, 2.0])


@given(weights, st.integers(1, 20), inits, st.integers(0, 3))
def test_means_are_means_and_no_more_than_asked(values: np.ndarray, clusters: int, init: Init, seed: int) -> None:
    codebook = codebook_of(values, clusters, init, seed)
    assert 1 <= codebook.size <= clusters
    assert (np.diff(codebook) > 0).all()
    assert codebook.size == min(clusters, np.unique(values).size)
    assert np.array_equal(codebook, codebook_of(values, clusters, init, seed))
    index = nearest(values, codebook)
    for cluster, mean in enumerate(codebook):
        assert values[index == cluster].astype(np.float64).mean() == pytest.approx(mean, rel=1e-6, abs=1e-9)
    distances = np.abs(values[:, None] - codebook)
    assert distances[np.arange(values.size), index] == pytest.approx(distances.min(axis=1))


@given(hnp.arrays(np.float32, st.integers(5, 9), elements=st.floats(-4, 4, width=32), unique=True), st.integers(2, 3))
def test_the_best_start_is_near_the_optimum(values: np.ndarray, clusters: int) -> None:
    found = min(error(values, codebook_of(values, clusters, init)) for init in ("linear", "density"))
    assert best_error(values, clusters) <= found * (1 + 1e-6) + 1e-9
    assert found <= error(values, np.array([values.mean()])) * (1 + 1e-6)


@pytest.mark.parametrize("init", INITS)
def test_more_clusters_less_error(init: Init) -> None:
    values = np.random.default_rng(0).laplace(size=2000)
    errors = [error(values, codebook_of(values, clusters, init)) for clusters in (1, 2, 4, 8, 16, 32, 64)]
    assert all(later < 0.7 * earlier for earlier, later in itertools.pairwise(errors))


def test_large_and_fast() -> None:
    values = np.random.default_rng(1).standard_normal(200_000)
    assert codebook_of(values, 256, "density").size == 256
