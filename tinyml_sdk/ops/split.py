"""SPLIT: a tensor cut along an axis into parts of one size.

Semantics: tensorflow/lite/micro/kernels/split.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..graph import DType
from .base import Input, Layer, Operator, OpView, Output, Parameters

__all__ = ["Split", "split_axis", "split_layer"]

_MAX_OUTPUTS = 10
"""The kernel's limit."""


class Split(Operator):
    """Inputs: constant int32 axis, int8. Outputs: int8 with the input's quantization."""

    name = "SPLIT"
    versions = (1, 4)
    resolver = "AddSplit"

    def lower(self, view: OpView) -> Layer:
        """As SPLIT_V, with sizes that follow from the number of outputs."""
        count = len(view.op.outputs)
        view.expect_counts(2, count)
        axis = split_axis(view, value=1, axis=0)
        size = view.activation(1).shape[axis]
        if count == 0 or size % count:
            raise view.fail("outputs", f"{size} elements do not divide into {count} parts")
        return split_layer(view, 1, axis, [size // count] * count)


def split_axis(view: OpView, *, value: int, axis: int) -> int:
    """The axis, which input number `axis` holds, of input number `value`. Not negative."""
    values = view.constant(axis, DType.INT32)
    rank = len(view.activation(value).shape)
    if values.size != 1 or not -rank <= int(values.reshape(-1)[0]) < rank:
        raise view.fail(f"input {axis}", f"{values.tolist()} is no axis of {rank} dimensions")
    return int(values.reshape(-1)[0]) % rank


def split_layer(view: OpView, value: int, axis: int, sizes: Sequence[int]) -> Layer:
    """Copies row by row; a row is what follows the dimensions before the axis.

    Args:
        view: The op.
        value: Which of its inputs is split.
        axis: Along which dimension.
        sizes: Elements of each output along it.
    """
    if not 1 <= len(sizes) <= _MAX_OUTPUTS:
        raise view.fail("outputs", f"has {len(sizes)} outputs, not 1 to {_MAX_OUTPUTS}")
    input_ = view.activation(value)
    for index, size in enumerate(sizes):
        output = view.output(index=index)
        shape = (*input_.shape[:axis], size, *input_.shape[axis + 1 :])
        if output.shape != shape:
            raise view.fail(f"output {index}: shape", f"is {list(output.shape)}, but the op computes {list(shape)}")
    inner = prod(input_.shape[axis + 1 :])
    parameters = Parameters(
        "tinyml_split_params",
        {
            "rows": prod(input_.shape[:axis]),
            "outputs": len(sizes),
            "bytes": tuple(size * inner for size in sizes),
        },
    )
    return Layer(
        op=view.op,
        kernel="tinyml_split",
        header="split.h",
        shared=True,
        arguments=(parameters, Input(value), *(Output(index) for index in range(len(sizes)))),
    )
