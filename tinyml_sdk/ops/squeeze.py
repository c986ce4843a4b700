"""SQUEEZE: the same bytes without some dimensions of size 1.

Semantics: tensorflow/lite/micro/kernels/squeeze.cc.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .reshape import copy_layer

__all__ = ["Squeeze"]


class Squeeze(Operator):
    """Input: int8 of any shape. Output: int8. Option `squeeze_dims`: which dimensions go; none of them stands for all.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "SQUEEZE"
    versions = (1, 2)
    resolver = "AddSqueeze"

    def lower(self, view: OpView) -> Layer:
        """As RESHAPE: nothing to do where the planner puts the output in the input's place."""
        view.expect_counts(1)
        shape, dimensions = view.activation(0).shape, view.op.options["squeeze_dims"]
        assert isinstance(dimensions, tuple)  # as the schema has it
        rank = len(shape)
        for dimension in dimensions:
            if not -rank <= dimension < rank or shape[dimension] != 1:
                raise view.fail("squeeze_dims", f"{dimension} is no dimension of size 1 in {list(shape)}")
        gone = {dimension % rank for dimension in dimensions}
        left = [size for axis, size in enumerate(shape) if (axis not in gone if gone else size != 1)]
        view.expect_shape(view.output(), tuple(left))
        return copy_layer(view)
