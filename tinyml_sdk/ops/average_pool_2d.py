"""AVERAGE_POOL_2D: the mean of a sliding window, to the nearest integer, ties away from zero."""

from __future__ import annotations

from .pool_2d import Pool2D

__all__ = ["AveragePool2D"]


class AveragePool2D(Pool2D):
    """See `Pool2D`. The mean is of the stored integers, so ties go away from the stored 0, not the real one."""

    name = "AVERAGE_POOL_2D"
    resolver = "AddAveragePool2D"
    kernel = "tinyml_average_pool_2d"
    largest_dsp_window = 255
