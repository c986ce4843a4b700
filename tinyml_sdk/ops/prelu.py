"""PRELU: negative values times a slope, mostly one for each channel; the others as they are.

Semantics: tensorflow/lite/micro/kernels/prelu_common.cc and reference_ops::BroadcastPrelu4DSlow.
"""

from __future__ import annotations

from ..graph import Tensor
from .arithmetic import quantize_multiplier
from .base import Input, Layer, Operator, OpView, Output, Parameters, ParameterValue
from .broadcast import broadcast_inputs

__all__ = ["Prelu"]

_LARGEST_SHIFT = 15
"""A product has 16 bits, so that this shift still fits 32."""


class Prelu(Operator):
    """Inputs: int8, and int8 slopes that broadcast with it, at most six dimensions. Output: int8 of their shape."""

    name = "PRELU"
    versions = (1, 1)
    resolver = "AddPrelu"

    def lower(self, view: OpView) -> Layer:
        """One kernel for any shapes; in place over an input that is not repeated."""
        view.expect_counts(2)
        input_, slopes = view.activation(0), view.activation(1)
        output = view.output()
        walk = broadcast_inputs(view, input_, slopes, output)
        parameters = Parameters(
            "tinyml_prelu_params",
            {
                "walk": walk.parameters,
                "positive": _rescaling(view, input_, input_.scale / output.scale),
                "negative": _rescaling(view, slopes, input_.scale * slopes.scale / output.scale),
                "output_zero_point": output.zero_point,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_prelu",
            header="prelu.h",
            arguments=(parameters, Input(0), Input(1), Output()),
            lead=walk.lead,
        )


def _rescaling(view: OpView, tensor: Tensor, factor: float) -> dict[str, ParameterValue]:
    """The fields of the C struct `tinyml_rescaling`: a tensor's zero point, and a factor."""
    multiplier, shift = quantize_multiplier(factor)
    if shift > _LARGEST_SHIFT:
        raise view.fail("quantization", f"the inputs' scales are over 2^{_LARGEST_SHIFT} times the output's")
    return {"zero_point": tensor.zero_point, "multiplier": multiplier, "shift": shift}
