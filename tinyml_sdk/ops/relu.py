"""RELU: negative values become zero.

Semantics: tensorflow/lite/micro/kernels/activations_common.cc and activations.h, ReluQuantized.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .elementwise import clamp_layer, is_unity, quantize_rescaling, rescaling, table_layer

__all__ = ["Relu"]


class Relu(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape; its quantization may differ."""

    name = "RELU"
    versions = (1, 3)
    resolver = "AddRelu"

    def lower(self, view: OpView) -> Layer:
        """A clamp where the quantization stays the same, else a table."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        multiplier, shift = quantize_rescaling(view, input_.scale / output.scale)
        if is_unity(multiplier, shift) and input_.zero_point == output.zero_point:
            return clamp_layer(view, low=output.zero_point, high=127)
        rescaled = rescaling(input_, output, multiplier, shift)
        return table_layer(view, lambda value: max(rescaled(value), output.zero_point))
