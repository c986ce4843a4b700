"""DEQUANTIZE: int8 to real numbers.

Semantics: tensorflow/lite/micro/kernels/dequantize_common.cc and reference_ops::Dequantize.
"""

from __future__ import annotations

from ..graph import DType
from .base import Input, Layer, Operator, OpView, Output, Parameters

__all__ = ["Dequantize"]


class Dequantize(Operator):
    """Input: int8 of any shape. Output: float32 of the same shape."""

    name = "DEQUANTIZE"
    versions = (1, 6)
    resolver = "AddDequantize"

    def lower(self, view: OpView) -> Layer:
        """One multiplication each: it rounds as TFLM's in double does, since the double product is exact."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output(DType.FLOAT32)
        view.expect_shape(output, input_.shape)
        parameters = Parameters(
            "tinyml_dequantize_params",
            {"elements": output.elements, "scale": input_.scale, "zero_point": input_.zero_point},
        )
        return Layer(
            op=view.op,
            kernel="tinyml_dequantize",
            header="dequantize.h",
            arguments=(parameters, Input(0), Output()),
            # Each element becomes four bytes; the last input must still lie above all outputs but its own.
            lead=(3 * (output.elements - 1),),
        )
