"""EXPAND_DIMS: the same bytes with one more dimension, of size 1.

Semantics: tensorflow/lite/micro/kernels/expand_dims.cc.
"""

from __future__ import annotations

from ..graph import DType
from .base import Layer, Operator, OpView
from .reshape import copy_layer

__all__ = ["ExpandDims"]


class ExpandDims(Operator):
    """Inputs: int8 of any shape, the constant int32 axis that is new. Output: int8.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "EXPAND_DIMS"
    versions = (1, 1)
    resolver = "AddExpandDims"

    def lower(self, view: OpView) -> Layer:
        """As RESHAPE: nothing to do where the planner puts the output in the input's place."""
        view.expect_counts(2)
        shape, values = view.activation(0).shape, view.constant(1, DType.INT32)
        rank = len(shape) + 1
        if values.size != 1 or not -rank <= int(values.reshape(-1)[0]) < rank:
            raise view.fail("input 1", f"{values.tolist()} is no axis of {rank} dimensions")
        axis = int(values.reshape(-1)[0]) % rank
        view.expect_shape(view.output(), (*shape[:axis], 1, *shape[axis:]))
        return copy_layer(view)
