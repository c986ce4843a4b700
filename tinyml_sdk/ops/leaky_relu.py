"""LEAKY_RELU: negative values times a constant, the others as they are.

Semantics: tensorflow/lite/micro/kernels/leaky_relu_common.cc and reference_ops::QuantizeLeakyRelu.
"""

from __future__ import annotations

from math import isfinite

from .base import Layer, Operator, OpView
from .elementwise import quantize_rescaling, rescaling, table_layer

__all__ = ["LeakyRelu"]


class LeakyRelu(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape; its quantization may differ. Any slope."""

    name = "LEAKY_RELU"
    versions = (1, 2)
    resolver = "AddLeakyRelu"

    def lower(self, view: OpView) -> Layer:
        """A table: two rescalings and a comparison would take longer, and are hardly less code."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        slope = float(view.op.options["alpha"])  # type: ignore[arg-type]
        if not isfinite(slope):
            raise view.fail("alpha", f"is {slope}")
        positive = rescaling(input_, output, *quantize_rescaling(view, input_.scale / output.scale))
        negative = rescaling(input_, output, *quantize_rescaling(view, input_.scale * abs(slope) / output.scale))

        def stored(value: int) -> int:
            if value >= input_.zero_point:
                return positive(value)
            steep = negative(value) - output.zero_point
            return output.zero_point + (steep if slope >= 0 else -steep)

        return table_layer(view, stored)
