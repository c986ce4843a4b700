"""RESHAPE: the same bytes under another shape.

Semantics: tensorflow/lite/micro/kernels/reshape.cc and reshape_common.cc.
"""

from __future__ import annotations

from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import IN_PLACE

__all__ = ["Reshape", "copy_layer"]


class Reshape(Operator):
    """Input: int8 of any shape, and an optional shape tensor. Output: int8 of as many elements.

    The output tensor's own shape decides, as in TFLM: what the shape tensor or the option `new_shape` say, with -1 for
    one size or not at all, was worked out by the converter. Quantizations may differ; values pass on as they are.
    """

    name = "RESHAPE"
    versions = (1, 2)
    resolver = "AddReshape"

    def lower(self, view: OpView) -> Layer:
        """Nothing to do where the planner puts the output in the input's place, else a copy."""
        view.expect_counts((1, 2))
        return copy_layer(view)


def copy_layer(view: OpView) -> Layer:
    """The layer whose output 0 has the bytes of input 0, under any shape of as many elements. Raises ModelError."""
    input_, output = view.activation(0), view.output()
    if input_.elements != output.elements:
        raise view.fail(
            "output 0: shape",
            f"{list(output.shape)} has {output.elements} elements, but the input {list(input_.shape)} has "
            f"{input_.elements}",
        )
    return Layer(
        op=view.op,
        kernel="tinyml_reshape",
        header="reshape.h",
        arguments=(Parameters("tinyml_reshape_params", {"bytes": output.bytes}), Input(0), Output()),
        lead=(IN_PLACE, None),
        is_copy=True,
    )
