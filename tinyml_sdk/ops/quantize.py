"""QUANTIZE: real numbers to int8, or 8-bit integers to those of another scale.

Semantics: tensorflow/lite/micro/kernels/quantize_common.cc, reference_ops::AffineQuantize and Requantize.
"""

from __future__ import annotations

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .elementwise import clamp_layer, is_unity, quantize_rescaling, rescaling, table_layer
from .overlap import IN_PLACE

__all__ = ["Quantize"]

_BYTES = (DType.INT8, DType.UINT8)


class Quantize(Operator):
    """Input: float32, int8 or uint8 of any shape. Output: int8 of the same shape, or uint8 from int8.

    A NaN becomes the zero point, and what lies beyond the output's range its end, infinities included. (TFLM's
    conversion to an integer is undefined for NaN and beyond 32 bits.)
    """

    name = "QUANTIZE"
    versions = (1, 4)
    resolver = "AddQuantize"

    def lower(self, view: OpView) -> Layer:
        """A division for each real number; a table for bytes, or nothing where both quantizations are the same."""
        view.expect_counts(1)
        input_ = view.input(0, DType.FLOAT32, *_BYTES)
        output = view.output(*(_BYTES if input_.dtype is DType.INT8 else (DType.INT8,)))
        view.expect_shape(output, input_.shape)
        self._expect_one_scale(view, "output 0", output)
        if input_.dtype is DType.FLOAT32:
            return self._from_float(view, output)
        self._expect_one_scale(view, "input 0", input_)
        multiplier, shift = quantize_rescaling(view, input_.scale / output.scale)
        unchanged = is_unity(multiplier, shift) and input_.zero_point == output.zero_point
        if unchanged and input_.dtype is output.dtype:
            return clamp_layer(view, low=-128, high=127)
        return table_layer(view, rescaling(input_, output, multiplier, shift))

    def _from_float(self, view: OpView, output: Tensor) -> Layer:
        parameters = Parameters(
            "tinyml_quantize_params",
            {"elements": output.elements, "scale": output.scale, "zero_point": output.zero_point},
        )
        return Layer(
            op=view.op,
            kernel="tinyml_quantize",
            header="quantize.h",
            arguments=(parameters, Input(0), Output()),
            lead=(IN_PLACE,),
        )

    def _expect_one_scale(self, view: OpView, what: str, tensor: Tensor) -> None:
        if tensor.quantization is None or tensor.quantization.per_channel:
            raise view.fail(f"{what}: quantization", "must have one scale and zero point")
