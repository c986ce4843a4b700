"""ABS: the absolute value.

Semantics: tensorflow/lite/micro/kernels/elementwise.cc, AbsEvalQuantized.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .elementwise import quantize_rescaling, rescaling, table_layer

__all__ = ["Abs"]


class Abs(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape; its quantization may differ."""

    name = "ABS"
    versions = (1, 5)
    resolver = "AddAbs"

    def lower(self, view: OpView) -> Layer:
        """A table."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        rescaled = rescaling(input_, output, *quantize_rescaling(view, input_.scale / output.scale))
        return table_layer(view, lambda value: rescaled(input_.zero_point + abs(value - input_.zero_point)))
