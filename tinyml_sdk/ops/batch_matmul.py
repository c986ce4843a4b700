"""BATCH_MATMUL: the products of matrices, which the model computes both; attention is made of them.

Semantics: tensorflow/lite/micro/kernels/batch_matmul.cc and reference_ops::BatchMatMul.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ..graph import Tensor
from .arithmetic import quantize_multiplier
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import gathered_lead

__all__ = ["BatchMatMul"]

_BATCH_RANK = 3
_DEEPEST = (2**31 - 1) // 255**2
"""The sum of so many products fits 32 bits."""
_BLOCK = 4
"""Columns that the kernel computes together."""


@dataclass(frozen=True)
class _Matrices:
    """An input: the sizes of its batch filled up in front with ones, and of its matrices as they are multiplied."""

    batch: tuple[int, ...]
    rows: int
    columns: int
    row_step: int
    column_step: int

    def batch_steps(self) -> tuple[int, ...]:
        matrix = self.rows * self.columns
        return tuple(matrix * prod(self.batch[axis + 1 :]) if size > 1 else 0 for axis, size in enumerate(self.batch))


class BatchMatMul(Operator):
    """Inputs: int8 (…, rows, depth) and (…, depth, columns), of rank 2 to 5. Output: int8 (…, rows, columns).

    The dimensions before the matrices' broadcast. Options `adj_x` and `adj_y`: that input's matrices are transposed.
    """

    name = "BATCH_MATMUL"
    versions = (1, 4)
    resolver = "AddBatchMatMul"

    def lower(self, view: OpView) -> Layer:
        """One kernel for all layouts; over its left input where that is not repeated."""
        view.expect_counts(2)
        left = _matrices(view, 0, view.activation(0), transposed=bool(view.op.options["adj_x"]))
        right = _matrices(view, 1, view.activation(1), transposed=bool(view.op.options["adj_y"]))
        if left.columns != right.rows or any(
            a != b and 1 not in (a, b) for a, b in zip(left.batch, right.batch, strict=True)
        ):
            shapes = [list(view.activation(index).shape) for index in (0, 1)]
            raise view.fail("inputs: shape", f"{shapes[0]} and {shapes[1]} cannot be multiplied")
        batch = tuple(max(sizes) for sizes in zip(left.batch, right.batch, strict=True))
        rank = max(len(view.activation(0).shape), len(view.activation(1).shape))
        output = view.output()
        view.expect_shape(output, (*batch[_BATCH_RANK - (rank - 2) :], left.rows, right.columns))
        return Layer(
            op=view.op,
            kernel="tinyml_batch_matmul",
            header="batch_matmul.h",
            arguments=(_parameters(view, batch, left, right), Input(0), Input(1), Output()),
            macs=output.elements * left.columns,
            lead=(_lead(batch, left, right) if not view.op.options["adj_x"] else None, None),
        )


def _matrices(view: OpView, place: int, tensor: Tensor, *, transposed: bool) -> _Matrices:
    *batch, rows, columns = tensor.shape if len(tensor.shape) >= 2 else (0, 0)
    if not 2 <= len(tensor.shape) <= _BATCH_RANK + 2:
        raise view.fail(f"input {place}: shape", f"{list(tensor.shape)} is not of 2 to {_BATCH_RANK + 2} dimensions")
    whole = (1,) * (_BATCH_RANK - len(batch)) + tuple(batch)
    if transposed:
        return _Matrices(whole, columns, rows, row_step=1, column_step=columns)
    return _Matrices(whole, rows, columns, row_step=columns, column_step=1)


def _parameters(view: OpView, batch: tuple[int, ...], left: _Matrices, right: _Matrices) -> Parameters:
    input1, input2, output = view.activation(0), view.activation(1), view.output()
    if left.columns > _DEEPEST:
        raise view.fail("inputs: shape", f"sums of {left.columns:,} products can overflow 32 bits")
    multiplier, shift = quantize_multiplier(input1.scale * input2.scale / output.scale)
    # Shifted to the left, which comes first, a sum must still fit.
    reach = 255**2 * left.columns
    if reach << max(0, shift) >= 2**31:
        raise view.fail("quantization", f"sums of {left.columns} products, scaled to the output, overflow 32 bits")
    small = shift < 0 and reach < 2**30
    return Parameters(
        "tinyml_batch_matmul_params",
        {
            "batches": batch,
            "left_batch_step": left.batch_steps(),
            "right_batch_step": right.batch_steps(),
            "rows": left.rows,
            "depth": left.columns,
            "columns": right.columns,
            "left_row_step": left.row_step,
            "left_depth_step": left.column_step,
            "right_depth_step": right.row_step,
            "right_column_step": right.column_step,
            "left_zero_point": input1.zero_point,
            "right_zero_point": input2.zero_point,
            "multiplier": multiplier,
            "shift": shift,
            "output": {
                "output_zero_point": output.zero_point,
                "activation_min": -128,
                "activation_max": 127,
                "channel_step": 0,
                "scaling": "TINYML_SCALE_SMALL" if small else "TINYML_SCALE_ANY",
            },
        },
    )


def _lead(batch: tuple[int, ...], left: _Matrices, right: _Matrices) -> int | None:
    """Row by row; while the last block of columns is computed, the others are written."""
    if left.batch != batch:  # it is read again after the output of an earlier matrix is written
        return None
    rows = np.arange(prod(batch) * left.rows)[None]
    last_block = right.columns - (_BLOCK if right.columns % _BLOCK == 0 else 1)
    return gathered_lead(rows * left.columns, rows * right.columns + last_block, tile=1)
