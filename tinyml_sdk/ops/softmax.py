"""SOFTMAX: exp of each value, divided by their sum over the last dimension.

Semantics: tensorflow/lite/micro/kernels/softmax_common.cc and reference_ops::Softmax (reference/softmax.h).
"""

from __future__ import annotations

from math import floor, isfinite

import numpy as np

from ..graph import Tensor
from .arithmetic import quantize_multiplier
from .base import Constant, Input, Layer, Operator, OpView, Output, Parameters
from .fixed_point import exp_of_negative, rescale, rounding_shift_right
from .overlap import IN_PLACE

__all__ = ["Softmax"]

_INTEGER_BITS = 5
_SUM_INTEGER_BITS = 12
_LARGEST_DEPTH = 2**_SUM_INTEGER_BITS - 1
"""As many ones add up without overflow."""


class Softmax(Operator):
    """Input: int8, at least one dimension. Output: int8 of the same shape, scale 1/256 and zero point -128."""

    name = "SOFTMAX"
    versions = (1, 3)
    resolver = "AddSoftmax"

    def lower(self, view: OpView) -> Layer:
        """exp depends only on how far a value lies below its row's largest, 0 … 255: it comes from a table."""
        view.expect_counts(1)
        input_ = view.activation(0)
        output = view.output()
        view.expect_shape(output, input_.shape)
        if not input_.shape:
            raise view.fail("input 0: shape", "has no dimension to add up over")
        if (output.scale, output.zero_point) != (1 / 256, -128):
            raise view.fail(
                "output 0: quantization",
                f"scale {output.scale:g} and zero point {output.zero_point} are not 1/256 and -128",
            )
        depth = input_.shape[-1]
        if depth > _LARGEST_DEPTH:
            raise view.fail("input 0: shape", f"the sum of {depth} values can overflow; at most {_LARGEST_DEPTH} fit")
        table = self._exp_table(view, input_)
        parameters = Parameters(
            "tinyml_softmax_params",
            {"rows": input_.elements // depth, "depth": depth, "table_size": len(table)},
        )
        return Layer(
            op=view.op,
            kernel="tinyml_softmax",
            header="softmax.h",
            arguments=(parameters, Input(0), Constant("exp", table), Output()),
            lead=(IN_PLACE,),
        )

    def _exp_table(self, view: OpView, input_: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """exp(-difference x scale x beta) as Q0.31, up to the last that is not lost in the sum.

        Usually well under the 256 that there could be: 14 / (scale x beta) entries of four bytes, about what the code
        of exp would take, which would need a hundred instructions for what is one load.
        """
        beta = view.op.options["beta"]
        assert isinstance(beta, int | float)  # as the schema has it; an integer where the file leaves it out
        factor = min(beta * input_.scale * 2 ** (31 - _INTEGER_BITS), 2**31 - 1) if isfinite(beta) else 0
        if factor <= 1:
            raise view.fail("beta", f"{beta:g} x scale {input_.scale:g} is not above 2^-26")
        multiplier, shift = quantize_multiplier(factor)
        furthest = floor((2**_INTEGER_BITS - 1) * 2 ** (31 - _INTEGER_BITS) / 2**shift)
        exps = [
            exp_of_negative(rescale(-difference, multiplier, shift), _INTEGER_BITS)
            for difference in range(min(furthest, 255) + 1)
        ]
        # What rounds to zero in the sum also does in the output.
        while rounding_shift_right(exps[-1], _SUM_INTEGER_BITS) == 0:
            exps.pop()
        return np.array(exps, np.int32)
