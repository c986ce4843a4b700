"""PACK: tensors of one shape become one tensor along a new axis.

Semantics: tensorflow/lite/micro/kernels/pack.cc.
"""

from __future__ import annotations

from math import prod

from .base import Input, Layer, Operator, OpView, Output, Parameters

__all__ = ["Pack", "pack_parameters"]


class Pack(Operator):
    """Inputs: one or more int8 tensors of one shape, computed or constant. Output: int8.

    All have the output's scale and zero point to the bit: TFLM does not rescale.
    """

    name = "PACK"
    versions = (1, 4)
    resolver = "AddPack"

    def lower(self, view: OpView) -> Layer:
        """Copies row by row; a row is what follows the dimensions before the axis."""
        count = len(view.op.inputs)
        view.expect_counts((1, count))
        if count != view.op.options["values_count"]:
            raise view.fail("values_count", f"is {view.op.options['values_count']}, but the op has {count} inputs")
        inputs, output = [view.activation(index) for index in range(count)], view.output()
        for index, tensor in enumerate(inputs):
            view.expect_same_quantization(f"input {index}", tensor, output)
            if tensor.shape != inputs[0].shape:
                raise view.fail(f"input {index}: shape", f"{list(tensor.shape)} is not {list(inputs[0].shape)}")
        shape = inputs[0].shape
        axis = view.integer("axis", -len(shape) - 1, len(shape)) % (len(shape) + 1)
        view.expect_shape(output, (*shape[:axis], count, *shape[axis:]))
        rows, size = prod(shape[:axis]), prod(shape[axis:])
        return Layer(
            op=view.op,
            kernel="tinyml_pack",
            header="pack.h",
            arguments=(pack_parameters(rows, count, size), Output(), *(Input(index) for index in range(count))),
            shared=True,
            # When an input's last row is copied, all rows before it and its neighbours to the left are written.
            lead=tuple((rows - 1) * (count - 1) * size + place * size for place in range(count)),
        )


def pack_parameters(rows: int, tensors: int, size: int) -> Parameters:
    """What PACK's kernel and UNPACK's take: both walk the one tensor row by row, in pieces of `size` bytes."""
    return Parameters("tinyml_pack_params", {"rows": rows, "tensors": tensors, "bytes": size})
