"""MAX_POOL_2D: the largest value of a sliding window."""

from __future__ import annotations

from .pool_2d import Pool2D

__all__ = ["MaxPool2D"]


class MaxPool2D(Pool2D):
    """See `Pool2D`."""

    name = "MAX_POOL_2D"
    resolver = "AddMaxPool2D"
    kernel = "tinyml_max_pool_2d"
