"""ARG_MIN: where along an axis the smallest value is; a classifier's answer.

Semantics: tensorflow/lite/micro/kernels/arg_min_max.cc.
"""

from __future__ import annotations

from .arg_extremum import arg_extremum_layer
from .base import Layer, Operator, OpView

__all__ = ["ArgMin"]


class ArgMin(Operator):
    """Inputs: int8 of rank 1 or more, constant int32 axis. Output: int32 indices, without the axis."""

    name = "ARG_MIN"
    versions = (1, 3)
    resolver = "AddArgMin"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any axis."""
        return arg_extremum_layer(view, maximum=False)
