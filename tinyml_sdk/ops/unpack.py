"""UNPACK: a tensor taken apart along an axis, which its parts no longer have.

Semantics: tensorflow/lite/micro/kernels/unpack.cc.
"""

from __future__ import annotations

from math import prod

from .base import Input, Layer, Operator, OpView, Output
from .pack import pack_parameters

__all__ = ["Unpack"]


class Unpack(Operator):
    """Input: int8 of rank 1 or more. Outputs: int8, as many as the axis has elements.

    Values pass on as they are, whatever the quantizations of input and outputs.
    """

    name = "UNPACK"
    versions = (1, 4)
    resolver = "AddUnpack"

    def lower(self, view: OpView) -> Layer:
        """Copies row by row, as SPLIT does."""
        count = len(view.op.outputs)
        view.expect_counts(1, count)
        shape = view.activation(0).shape
        if not shape:
            raise view.fail("input 0: shape", "is a scalar, which has no axis")
        axis = view.integer("axis", -len(shape), len(shape) - 1) % len(shape)
        if not count == shape[axis] == view.op.options["num"]:
            raise view.fail("num", f"is {view.op.options['num']}, for {shape[axis]} elements and {count} outputs")
        rest = (*shape[:axis], *shape[axis + 1 :])
        for index in range(count):
            output = view.output(index=index)
            if output.shape != rest:
                raise view.fail(f"output {index}: shape", f"is {list(output.shape)}, but the op computes {list(rest)}")
        return Layer(
            op=view.op,
            kernel="tinyml_unpack",
            header="pack.h",
            arguments=(
                pack_parameters(prod(shape[:axis]), count, prod(shape[axis + 1 :])),
                Input(0),
                *(Output(index) for index in range(count)),
            ),
            shared=True,
        )
