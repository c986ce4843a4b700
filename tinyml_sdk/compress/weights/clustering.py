"""Weight clustering: the weights of a layer take few different values, so that they compress."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..weight_layers import cloned, selected_kernels
from .kmeans import INITS, Init, codebook_of, nearest

__all__ = ["ClusteredLayer", "Clustering", "cluster_weights"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ClusteredLayer:
    """One clustered kernel.

    Attributes:
        layer: Its name.
        weights: How many it has.
        codebook: Their values, sorted; zero among them where zeros were kept.
        entropy_bits: Shannon entropy of a weight: what an ideal coder needs for each, at most log2 of the codebook's
            size.
        relative_error: The norm of the change over the norm of the kernel.
    """

    layer: str
    weights: int
    codebook: tuple[float, ...]
    entropy_bits: float
    relative_error: float


@dataclass(frozen=True)
class Clustering:
    """A clustered model of the same shapes, and its layers, in which equal weights must be held in later training."""

    model: Any
    layers: tuple[ClusteredLayer, ...]


def cluster_weights(
    model: Any,
    *,
    clusters: int = 16,
    init: Init = "linear",
    keep_zeros: bool = True,
    layers: Collection[str] | None = None,
    seed: int = 0,
) -> Clustering:
    """Replace each weight of dense and convolutional kernels by the nearest of a few values, a codebook a layer.

    Source: Han et al., "Deep Compression", 2016 (arXiv:1510.00149), section 3, with the codebook trained on by
    projection (`held.hold`) instead of summed gradients.

    int8 with one scale a layer keeps the codebook: at most `clusters` different int8 values. A scale for each channel
    and batch normalization folded into the weights stretch every channel by its own factor, which keeps the values
    few in a channel but not in the layer: quantize per tensor, and without batch normalization after the layer, for
    the full gain.

    Args:
        model: Functional or sequential; not changed.
        clusters: Different values of a layer at the most, zero included; 2 to 4096.
        init: Where k-means starts. `linear` serves the large weights, which matter most; `density` the many small.
        keep_zeros: Zeros (of pruning) stay, as a value of the codebook, of which there must be 3 at the least then.
        layers: Names of the layers; all but depthwise ones where None.
        seed: For `kmeans++`; the others have nothing random.

    Returns:
        A new model.

    Raises:
        InputError: an option is out of range, a layer is unknown, or a weight is NaN.
    """
    if init not in INITS:
        raise _bad(f"{init!r} is no init", f"choose one of {', '.join(INITS)}")
    if not 2 <= clusters <= 4096:
        raise _bad(f"{clusters} clusters", "give a number from 2 to 4096; 16 and 32 are common")
    copy = cloned(model)
    found = []
    for name, kernel in selected_kernels(copy, layers, "cluster weights").items():
        values = kernel.read()
        if keep_zeros and clusters == 2 and not values.all() and values.any():
            raise _bad(
                f"2 clusters for layer {name!r}, which has zeros to keep",
                "give 3 or more, as zero is one of them, or keep_zeros=False",
            )
        shared = _shared(values, clusters, init, keep_zeros, seed)
        kernel.write(shared)
        found.append(_clustered_layer(name, values, shared))
    return Clustering(copy, tuple(found))


def _bad(message: str, hint: str) -> InputError:
    return InputError(message, where="cluster weights", hint=hint)


def _shared(values: Array, clusters: int, init: Init, keep_zeros: bool, seed: int) -> Array:
    """The values, each replaced by its cluster's, in their own dtype."""
    free = values != 0 if keep_zeros else np.ones(values.shape, np.bool_)
    shared = np.zeros_like(values)
    if free.any():
        some = values[free]
        codebook = codebook_of(some, clusters - int(not free.all()), init, seed).astype(values.dtype)
        shared[free] = codebook[nearest(some, codebook)]
    return shared


def _clustered_layer(name: str, values: Array, shared: Array) -> ClusteredLayer:
    codebook, counts = np.unique(shared, return_counts=True)
    p = counts / shared.size
    norm = float(np.linalg.norm(values))
    return ClusteredLayer(
        layer=name,
        weights=int(shared.size),
        codebook=tuple(map(float, codebook)),
        entropy_bits=max(0.0, float(-(p * np.log2(p)).sum())),
        relative_error=float(np.linalg.norm(shared - values)) / norm if norm else 0.0,
    )
