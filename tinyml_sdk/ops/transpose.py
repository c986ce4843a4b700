"""TRANSPOSE: the dimensions in another order.

Semantics: tensorflow/lite/micro/kernels/transpose_common.cc and reference_ops::Transpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import gathered_lead
from .reshape import copy_layer

__all__ = ["Transpose", "read_permutation", "rearranged_layer"]

_MAX_RANK = 5
"""TFLM's limit, and the kernel's."""


class Transpose(Operator):
    """Inputs: int8 of rank 1 to 5, constant int32 permutation (rank,). Output: int8.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "TRANSPOSE"
    versions = (1, 6)
    resolver = "AddTranspose"

    def lower(self, view: OpView) -> Layer:
        """Nothing to do where only dimensions of size 1 move; else as few loops as the permutation allows."""
        view.expect_counts(2)
        input_ = view.activation(0)
        output = view.output()
        permutation = read_permutation(view, input_)
        view.expect_shape(output, tuple(input_.shape[axis] for axis in permutation))
        return rearranged_layer(view, [(input_.shape[axis], prod(input_.shape[axis + 1 :])) for axis in permutation])


def rearranged_layer(view: OpView, dimensions: Sequence[tuple[int, int]]) -> Layer:
    """The layer whose output has all bytes of input 0 in another order; for DEPTH_TO_SPACE and SPACE_TO_DEPTH too.

    Args:
        view: The op; its shapes are checked.
        dimensions: Of the output, outermost first: sizes, and steps in the input's bytes. At most five where those are
            merged that are neighbours in both.
    """
    loops = _merged(dimensions)
    if len(loops) == 1:
        return copy_layer(view)
    *around, (row, row_step) = loops
    around = [(1, 0)] * (_MAX_RANK - 1 - len(around)) + around
    parameters = Parameters(
        "tinyml_transpose_params",
        {
            "sizes": tuple(size for size, _ in around),
            "steps": tuple(step for _, step in around),
            "row": row,
            "row_step": row_step,
        },
    )
    return Layer(
        op=view.op,
        kernel="tinyml_transpose",
        header="transpose.h",
        arguments=(parameters, Input(0), Output()),
        lead=(_lead(loops),),
    )


def read_permutation(view: OpView, input_: Tensor) -> list[int]:
    """Of each dimension of the output, which of the input it is. Raises ModelError."""
    rank = len(input_.shape)
    if not 1 <= rank <= _MAX_RANK:
        raise view.fail("input 0: shape", f"{list(input_.shape)} has {rank} dimensions, not 1 to {_MAX_RANK}")
    constant = view.constant(1, DType.INT32)
    permutation: list[int] = constant.reshape(-1).tolist()
    if constant.ndim != 1 or sorted(permutation) != list(range(rank)):
        raise view.fail("input 1", f"{constant.tolist()} is no permutation of {rank} dimensions")
    return permutation


def _merged(dimensions: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same with neighbours as one where their bytes follow one another, without those of size 1. At least one."""
    merged: list[tuple[int, int]] = []
    for size, step in dimensions:
        if size == 1:
            continue
        if merged and merged[-1][1] == size * step:
            merged[-1] = (merged[-1][0] * size, step)
        else:
            merged.append((size, step))
    return merged or [(1, 1)]


def _lead(loops: list[tuple[int, int]]) -> int:
    """Rows of neighbouring bytes are copied as one; all others byte by byte."""
    *around, (row, row_step) = loops
    steps, run = (around, row) if row_step == 1 else (loops, 1)
    read = np.zeros(1, np.int64)
    for size, step in steps:
        read = (read[:, None] + np.arange(size) * step).reshape(-1)
    return gathered_lead(read[None], np.arange(len(read))[None] * run, tile=1)
