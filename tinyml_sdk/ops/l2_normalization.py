"""L2_NORMALIZATION: each row, along the last dimension, divided by its length.

Semantics: tensorflow/lite/micro/kernels/l2norm.cc and reference_integer_ops::L2Normalization.
"""

from __future__ import annotations

from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import IN_PLACE

__all__ = ["L2Normalization"]

_MAX_RANK = 4
_LONGEST_ROW = (2**31 - 1) // 255**2
"""The sum of its squares fits 32 bits."""


class L2Normalization(Operator):
    """Input: int8 of rank 1 to 4. Output: int8 of the same shape, scale 1/128 and zero point 0. No fused activation."""

    name = "L2_NORMALIZATION"
    versions = (1, 2)
    resolver = "AddL2Normalization"

    def lower(self, view: OpView) -> Layer:
        """A square root for each row, in place."""
        view.expect_counts(1)
        input_, output = view.activation(0), view.output()
        view.expect_shape(output, input_.shape)
        if not 1 <= len(input_.shape) <= _MAX_RANK:
            raise view.fail("input 0: shape", f"{list(input_.shape)} is not of 1 to {_MAX_RANK} dimensions")
        if view.op.options["fused_activation_function"] != "NONE":
            raise view.fail(
                "fused_activation_function", f"{view.op.options['fused_activation_function']} cannot be fused"
            )
        if (output.scale, output.zero_point) != (1 / 128, 0):
            # TFLM does not check it, and gives the same bytes for any.
            raise view.fail(
                "output 0: quantization",
                f"scale {output.scale:g} and zero point {output.zero_point} are not 1/128 and 0",
            )
        row = input_.shape[-1]
        if row > _LONGEST_ROW:
            raise view.fail("input 0: shape", f"a row of {row:,} elements is over {_LONGEST_ROW:,}")
        parameters = Parameters(
            "tinyml_l2_normalization_params",
            {"rows": input_.elements // row, "row": row, "input_zero_point": input_.zero_point},
        )
        return Layer(
            op=view.op,
            kernel="tinyml_l2_normalization",
            header="l2_normalization.h",
            arguments=(parameters, Input(0), Output()),
            lead=(IN_PLACE,),
        )
