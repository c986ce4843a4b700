"""RELU6: values are limited to 0 … 6.

Semantics: tensorflow/lite/micro/kernels/activations_common.cc and activations.h, Relu6Quantized.
"""

from __future__ import annotations

from ..graph import Tensor
from .arithmetic import quantize_value
from .base import Layer, Operator, OpView
from .elementwise import clamp_layer

__all__ = ["Relu6"]


class Relu6(Operator):
    """Input: int8 of any shape. Output: int8 of the same shape and quantization."""

    name = "RELU6"
    versions = (1, 3)
    resolver = "AddRelu6"

    def lower(self, view: OpView) -> Layer:
        """A clamp: unlike for RELU, TFLM never looks at the output's scale."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        self._expect_same_quantization(view, input_, output)
        return clamp_layer(view, low=input_.zero_point, high=quantize_value(6, input_.scale, input_.zero_point))

    def _expect_same_quantization(self, view: OpView, input_: Tensor, output: Tensor) -> None:
        # Under half a step of difference over the whole range is what any rounding leaves.
        furthest = 255 * abs(input_.scale / output.scale - 1)
        if furthest >= 0.5 or input_.zero_point != output.zero_point:
            raise view.fail(
                "output 0: quantization",
                f"scale {output.scale:g} and zero point {output.zero_point} differ from the input's "
                f"{input_.scale:g} and {input_.zero_point}; TFLite Micro's RELU6 does not rescale",
                "let the activation directly follow the layer it belongs to: the converter then fuses both",
            )
