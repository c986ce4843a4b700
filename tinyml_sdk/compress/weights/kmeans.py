"""k-means of numbers, in numpy: values on a line, so that clusters are intervals of the sorted values."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["INITS", "Init", "codebook_of", "nearest"]

Array = npt.NDArray[Any]
Init = Literal["linear", "density", "kmeans++"]

INITS = ("linear", "density", "kmeans++")
ROUNDS = 300  # it settles long before


def codebook_of(values: Array, clusters: int, init: Init = "linear", seed: int = 0) -> Array:
    """The means that Lloyd's algorithm settles on: a local optimum of the sum of squared distances.

    Each round takes O(clusters log values), by cumulative sums over the sorted values. A mean that no value is nearest
    to moves to the value farthest from its mean. Nothing is random but `kmeans++`, which follows `seed`.

    Sources: the starts `linear` (equal steps from the least to the greatest value) and `density` (equal steps of the
    distribution, its quantiles) Han et al., "Deep Compression", 2016 (arXiv:1510.00149), section 3.2; `kmeans++`
    Arthur & Vassilvitskii, "k-means++: The Advantages of Careful Seeding", 2007.

    Args:
        values: Finite numbers of any shape, at least one.
        clusters: How many means at the most, from 1.
        init: Where the means start.
        seed: For `kmeans++`.

    Returns:
        float64 of shape (k,), sorted, all different, k ≤ clusters. The values themselves where there are no more
        different ones than clusters.
    """
    ordered = np.sort(values.ravel()).astype(np.float64)
    different = np.unique(ordered)
    if different.size <= clusters:
        return different
    means = _start(ordered, clusters, init, seed)
    before = np.concatenate([[0.0], np.cumsum(ordered)])
    bounds = np.empty(0)
    for _ in range(ROUNDS):
        settled = bounds
        bounds = _bounds(ordered, means)
        if np.array_equal(bounds, settled):
            break
        counts = np.diff(bounds)
        means = np.where(counts > 0, np.diff(before[bounds]) / np.maximum(counts, 1), means)
        means = np.sort(_revived(ordered, means, counts == 0))
    return np.unique(means[np.diff(_bounds(ordered, means)) > 0])


def nearest(values: Array, codebook: Array) -> Array:
    """For each value the index of its nearest mean; of two as near the lower one. Codebook sorted, any float dtype."""
    middles = (codebook[1:] + codebook[:-1]) / 2
    return np.searchsorted(middles, values, side="left")


def _start(ordered: Array, clusters: int, init: Init, seed: int) -> Array:
    if init == "linear":
        return np.linspace(ordered[0], ordered[-1], clusters)
    if init == "density":
        return np.quantile(ordered, (np.arange(clusters) + 0.5) / clusters)
    random = np.random.default_rng(seed)
    means = [random.choice(ordered)]
    far = np.square(ordered - means[0])
    while len(means) < clusters:
        means.append(random.choice(ordered, p=far / far.sum()))
        far = np.minimum(far, np.square(ordered - means[-1]))
    return np.sort(means)


def _bounds(ordered: Array, means: Array) -> Array:
    """Where each cluster begins in the sorted values, and the end of the last."""
    middles = (means[1:] + means[:-1]) / 2
    return np.concatenate([[0], np.searchsorted(ordered, middles, side="right"), [ordered.size]])


def _revived(ordered: Array, means: Array, empty: Array) -> Array:
    """With empty clusters moved to the values that are worst off."""
    for index in np.flatnonzero(empty):
        alive = np.sort(means[~empty])
        distance = np.abs(ordered - alive[nearest(ordered, alive)])
        means[index] = ordered[np.argmax(distance)]
        empty[index] = False
    return means
