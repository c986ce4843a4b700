"""FULLY_CONNECTED: a matrix times each row of the input.

Semantics: tensorflow/lite/micro/kernels/fully_connected.cc and fully_connected_common.cc.
"""

from __future__ import annotations

from math import prod

from .base import Input, Layer, Operator, OpView, Output, Parameters
from .weights import filter_channels, filter_constants, product_scales, read_filter

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
    input_ = view.activation(0)
    weights = filter_channels(view.input(1))
    units, depth = weights.shape
    constants = filter_constants(view, weights, scales=scales, fold_zero_point=input_.zero_point)
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
    return Layer(
        op=view.op,
        kernel="tinyml_fully_connected",
        header="fully_connected.h",
        arguments=(parameters, Input(0), *constants.arguments, Output()),
        macs=rows * units * depth,
        lead=(lead,),
    )
