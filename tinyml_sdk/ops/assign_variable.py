"""ASSIGN_VARIABLE: the next value of a variable, where the op that computes it cannot write it there itself.

What else there is of resource variables in a file is gone when it is read (graph/resources.py).
Semantics: tensorflow/lite/micro/kernels/assign_variable.cc.
"""

from __future__ import annotations

from ..graph import DType
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import IN_PLACE

__all__ = ["AssignVariable"]


class AssignVariable(Operator):
    """Input: int8, the value. Output: the variable, of the same shape and quantization."""

    name = "ASSIGN_VARIABLE"
    versions = (1, 1)
    resolver = "AddAssignVariable"

    def lower(self, view: OpView) -> Layer:
        """A copy."""
        view.expect_counts(1)
        value = view.input(0, DType.INT8)
        view.expect_shape(view.output(), value.shape)
        return Layer(
            op=view.op,
            kernel="tinyml_reshape",
            header="reshape.h",
            arguments=(Parameters("tinyml_reshape_params", {"bytes": value.bytes}), Input(0), Output()),
            shared=True,
            lead=(IN_PLACE,),
        )
