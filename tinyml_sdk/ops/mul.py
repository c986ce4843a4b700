"""MUL: the product of two tensors, element by element.

Semantics: tensorflow/lite/micro/kernels/mul_common.cc and reference_integer_ops::MulElementwise, BroadcastMul6DSlow.
"""

from __future__ import annotations

from .arithmetic import quantize_multiplier
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .broadcast import broadcast_inputs

__all__ = ["Mul"]

_LARGEST_SHIFT = 15
"""A product has 16 bits, so that this shift still fits 32 with room for the zero point."""


class Mul(Operator):
    """Inputs: two int8 tensors that broadcast, at most six dimensions. Output: int8 of the common shape."""

    name = "MUL"
    versions = (1, 7)
    resolver = "AddMul"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any shapes; in place over an input that is not repeated."""
        view.expect_counts(2)
        input1, input2 = view.activation(0), view.activation(1)
        output = view.output()
        walk = broadcast_inputs(view, input1, input2, output)
        multiplier, shift = quantize_multiplier(input1.scale * input2.scale / output.scale)
        if shift > _LARGEST_SHIFT:
            raise view.fail("quantization", f"the inputs' scales are over 2^{_LARGEST_SHIFT} times the output's")
        low, high = view.activation_range(output)
        parameters = Parameters(
            "tinyml_mul_params",
            {
                "walk": walk.parameters,
                "input1_zero_point": input1.zero_point,
                "input2_zero_point": input2.zero_point,
                "output": {"zero_point": output.zero_point, "multiplier": multiplier, "shift": shift},
                "activation_min": low,
                "activation_max": high,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_mul",
            header="mul.h",
            arguments=(parameters, Input(0), Input(1), Output()),
            macs=0,
            lead=walk.lead,
        )
