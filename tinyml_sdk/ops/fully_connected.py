"""FULLY_CONNECTED: a matrix times each row of the input.

Semantics: tensorflow/lite/micro/kernels/fully_connected.cc and fully_connected_common.cc.
"""

from __future__ import annotations

from math import prod

import numpy as np

from .base import Input, Layer, Operator, OpView, Output, Parameters, Scratch
from .dsp.matrix import DSP, MIXED_WEIGHTS_REFUSED, dsp_constants, padded_order, pair_cost, row_cost
from .mve.fully_connected import mve_rows
from .overlap import gathered_lead
from .scalar.matrix import portable_effort, scalar_rows
from .scalar.row import scalar_row
from .selection import Candidate, Refusal, choose_kernel
from .sparse.layers import rows_window, sparse_convolutions, sparse_row
from .weights import FilterConstants, filter_channels, filter_constants, product_scales, read_filter

__all__ = ["FullyConnected", "matrix_layer"]


class FullyConnected(Operator):
    """Inputs: int8 of any shape, int8 weights (units, depth), optional int32 bias. Output: int8 (..., units)."""

    name = "FULLY_CONNECTED"
    versions = (1, 13)
    resolver = "AddFullyConnected"

    def lower(self, view: OpView) -> Layer:
        """Rows are whatever is left of the input's elements when split by the depth of the weights."""
        view.expect_counts((2, 3))
        input_ = view.activation(0)
        output = view.output()
        filter_ = read_filter(view, rank=2, channel_axis=0)
        units, depth = filter_.shape
        if view.op.options["weights_format"] != "DEFAULT":
            raise view.fail("weights_format", f"{view.op.options['weights_format']} is not supported")
        rows, rest = divmod(input_.elements, depth)
        if rest:
            raise view.fail("input 0: shape", f"{list(input_.shape)} does not divide into rows of {depth}")
        if output.shape[-1:] != (units,) or prod(output.shape[:-1]) != rows:
            raise view.fail("output 0: shape", f"is {list(output.shape)}, but the op computes {rows} rows of {units}")
        return matrix_layer(view, rows=rows, scales=product_scales(input_, filter_))


def matrix_layer(view: OpView, *, rows: int, scales: tuple[float, ...]) -> Layer:
    """The layer of a checked op whose first input is rows of the length of a filter channel."""
    weights = filter_channels(view.input(1))
    constants = filter_constants(view, weights, scales=scales, fold_zero_point=view.activation(0).zero_point)
    portable, mve = _portable(view, constants, rows), mve_rows(view, constants, rows)
    scalar = scalar_rows(view, constants, rows)
    if rows == 1:
        row = scalar_row(view, constants)
        candidates = [portable, _dsp_row(view, constants), mve, row, scalar, *sparse_row(view, constants)]
        return choose_kernel(view, candidates)
    sparse = sparse_convolutions(view, rows_window(rows), constants, input_channels=weights.shape[1])
    return choose_kernel(view, [portable, _dsp_rows(view, constants, rows), mve, scalar, *sparse])


def _portable(view: OpView, constants: FilterConstants, rows: int) -> Candidate:
    units, depth = constants.weights.values.shape
    parameters = Parameters(
        "tinyml_fully_connected_params",
        {
            "rows": rows,
            "depth": depth,
            "output_channels": units,
            "output": constants.requantization,
        },
    )
    # A row is read until its last channel is written; rows may grow or shrink on the way.
    lead = max(0, units - 1 + max(0, (rows - 1) * (units - depth)))
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected",
        header="fully_connected.h",
        arguments=(parameters, Input(0), *constants.arguments, Output()),
        macs=rows * units * depth,
        lead=(lead,),
    )
    # Four channels at a time, then what is left of them one by one.
    together, alone = units // 4 * 4, units % 4
    finishing = 20 if rows == 1 or together <= 4 else 38
    row = together * (2.6 * depth + finishing) + alone * (3.4 * depth + 14)
    return Candidate(layer, cost=portable_effort(view) * (rows * row + 30), code_bytes=250)


def _dsp_rows(view: OpView, constants: FilterConstants, rows: int) -> Candidate | Refusal:
    """Two rows at a time, gathered in scratch before their outputs are written."""
    units, depth = constants.weights.values.shape
    dsp = dsp_constants(constants, padded_order(np.arange(depth)), block=4)
    if dsp is None:
        return Refusal("tinyml_fully_connected_rows_dsp", MIXED_WEIGHTS_REFUSED)
    first = np.arange(rows)[None]
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_rows_dsp",
        header="dsp/fully_connected_dsp.h",
        arguments=(
            Parameters(
                "tinyml_fully_connected_dsp_params", {"rows": rows, "depth": depth, "matrix": dsp.matrix("pair")}
            ),
            Input(0),
            *dsp.arguments,
            Output(),
            Scratch(),
        ),
        macs=rows * units * depth,
        lead=(gathered_lead(first * depth, first * units),),
        scratch_bytes=4 * dsp.depth,
        shared=True,
    )
    return Candidate(layer, pair_cost(rows, dsp.depth, units, gathering=3 * dsp.depth), DSP)


def _dsp_row(view: OpView, constants: FilterConstants) -> Candidate | Refusal:
    """A single row, read again for each eight channels, or copied where it does not consist of words."""
    units, depth = constants.weights.values.shape
    dsp = dsp_constants(constants, padded_order(np.arange(depth)), block=8)
    if dsp is None:
        return Refusal("tinyml_fully_connected_row_dsp", MIXED_WEIGHTS_REFUSED)
    copied = depth % 4 != 0
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_row_dsp",
        header="dsp/fully_connected_dsp.h",
        arguments=(
            Parameters("tinyml_fully_connected_dsp_params", {"rows": 1, "depth": depth, "matrix": dsp.matrix("row")}),
            Input(0),
            *dsp.arguments,
            Output(),
            Scratch(),
        ),
        macs=units * depth,
        lead=(0 if copied else (units - 1) // 8 * 8,),
        scratch_bytes=dsp.depth if copied else 0,
        shared=True,
    )
    return Candidate(layer, row_cost(dsp.depth, units), DSP, code_bytes=700)
