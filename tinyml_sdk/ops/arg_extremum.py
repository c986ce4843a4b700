"""What ARG_MAX and ARG_MIN share.

Semantics: tensorflow/lite/micro/kernels/arg_min_max.cc and reference_ops::ArgMinMax.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..graph import DType
from .base import Input, Layer, OpView, Output, Parameters
from .overlap import gathered_lead
from .split import split_axis

__all__ = ["arg_extremum_layer"]


def arg_extremum_layer(view: OpView, *, maximum: bool) -> Layer:
    """The index of the largest value along the op's axis, or of the smallest, the first of equals; int32.

    Raises ModelError.
    """
    view.expect_counts(2)
    shape = view.activation(0).shape
    axis = split_axis(view, value=0, axis=1)
    output = view.output(DType.INT32)
    view.expect_shape(output, (*shape[:axis], *shape[axis + 1 :]))
    outer, size, inner = prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])
    read = np.arange(outer)[:, None] * size * inner + np.arange(inner)
    written = np.arange(outer * inner) * DType.INT32.bytes
    return Layer(
        op=view.op,
        kernel="tinyml_arg_extremum",
        header="arg_extremum.h",
        arguments=(
            Parameters(
                "tinyml_arg_extremum_params",
                {"outer": outer, "size": size, "inner": inner, "maximum": int(maximum)},
            ),
            Input(0),
            Output(),
        ),
        lead=(gathered_lead(read.reshape(1, -1), written.reshape(1, -1), tile=1),),
    )
