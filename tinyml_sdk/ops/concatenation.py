"""CONCATENATION: the inputs one behind the other along an axis.

Semantics: tensorflow/lite/micro/kernels/concatenation.cc and reference_ops::Concatenation.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod

from ..graph import Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters

__all__ = ["Concatenation"]

_MAX_INPUTS = 10
"""TFLM's limit, and the kernel's."""


class Concatenation(Operator):
    """Inputs: one to ten int8 tensors, computed or constant, alike in all dimensions but the axis. Output: int8.

    All have the output's scale and zero point to the bit: TFLM rescales uint8 only, and fuses no activation.
    """

    name = "CONCATENATION"
    versions = (1, 5)
    resolver = "AddConcatenation"

    def lower(self, view: OpView) -> Layer:
        """Copies row by row; a row is what follows the dimensions before the axis."""
        view.expect_counts((1, _MAX_INPUTS))
        inputs = [view.activation(index) for index in range(len(view.op.inputs))]
        output = view.output()
        if view.op.options["fused_activation_function"] != "NONE":
            raise view.fail(
                "fused_activation_function", f"{view.op.options['fused_activation_function']} cannot be fused"
            )
        for index, tensor in enumerate(inputs):
            view.expect_same_quantization(f"input {index}", tensor, output)
        axis = self._axis(view, inputs, output)
        rows = prod(output.shape[:axis])
        sizes = [tensor.bytes // rows for tensor in inputs]
        places = [0, *accumulate(sizes)]
        parameters = Parameters(
            "tinyml_concatenation_params", {"rows": rows, "inputs": len(inputs), "bytes": tuple(sizes)}
        )
        return Layer(
            op=view.op,
            kernel="tinyml_concatenation",
            header="concatenation.h",
            arguments=(parameters, Output(), *(Input(index) for index in range(len(inputs)))),
            # When an input's last row is copied, all rows before it and its neighbours to the left are written.
            shared=True,
            lead=tuple((rows - 1) * (places[-1] - size) + place for size, place in zip(sizes, places, strict=False)),
        )

    def _axis(self, view: OpView, inputs: list[Tensor], output: Tensor) -> int:
        rank = len(output.shape)
        if rank == 0:
            raise view.fail("output 0: shape", "is a scalar, which has no axis")
        axis = view.integer("axis", -rank, rank - 1) % rank
        for index, tensor in enumerate(inputs):
            if len(tensor.shape) != rank or any(
                mine != whole
                for dimension, (mine, whole) in enumerate(zip(tensor.shape, output.shape, strict=True))
                if dimension != axis
            ):
                raise view.fail(
                    f"input {index}: shape",
                    f"{list(tensor.shape)} does not fit the output's {list(output.shape)} along axis {axis}",
                )
        total = sum(tensor.shape[axis] for tensor in inputs)
        view.expect_shape(output, (*output.shape[:axis], total, *output.shape[axis + 1 :]))
        return axis
