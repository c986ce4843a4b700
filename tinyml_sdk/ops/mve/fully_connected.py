"""FULLY_CONNECTED and pointwise CONV_2D for cores with MVE."""

from __future__ import annotations

import numpy as np

from ..base import Input, Layer, OpView, Output, Parameters, Scratch
from ..overlap import gathered_lead
from ..selection import Candidate
from ..weights import FilterConstants
from .matrix import MVE, PARTS, mve_constants, mve_cost

__all__ = ["mve_rows"]


def mve_rows(view: OpView, constants: FilterConstants, rows: int) -> Candidate:
    """Two rows at a time, or a single one with twice as many channels.

    Args:
        view: The op.
        constants: Those of the portable kernel, with the input's zero point in the bias.
        rows: How many rows the input has.
    """
    units, depth = constants.weights.values.shape
    shape = "row" if rows == 1 else "pair"
    mve = mve_constants(constants, shape=shape)
    at_once = 1 if shape == "row" else 2
    # Of so many rows whole vectors stay inside the input.
    in_place = max(0, rows - -(-mve.depth // depth) + 1) // at_once
    if shape == "pair" and units > PARTS[shape]:
        in_place = 0  # outputs may lie over a row that is read again for more of them
    copies = in_place * at_once < rows
    first = np.arange(rows)[None]
    layer = Layer(
        op=view.op,
        kernel="tinyml_fully_connected_mve",
        header="mve/fully_connected_mve.h",
        arguments=(
            Parameters(
                "tinyml_fully_connected_mve_params",
                {
                    "rows": rows,
                    "depth": depth,
                    "in_place": in_place,
                    "sums": mve.sum_bytes,
                    "matrix": mve.matrix,
                },
            ),
            Input(0),
            *mve.arguments,
            Output(),
            Scratch(),
        ),
        macs=rows * units * depth,
        lead=(
            gathered_lead(first * depth, first * units)
            if shape == "pair" or copies
            else (units - 1) // PARTS[shape] * PARTS[shape],
        ),
        scratch_bytes=mve.sum_bytes + 2 * mve.depth * copies,
        shared=True,
    )
    return Candidate(layer, mve_cost(mve, rows, gathering=0 if in_place else 30 + mve.depth / 4), MVE)
