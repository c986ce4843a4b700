"""ADD and SUB for cores with MVE: the linear function of `linear_sum`, with both products rounded."""

from __future__ import annotations

from dataclasses import replace

from ..base import Input, Layer, OpView, Output, Parameters
from ..broadcast import Broadcast
from ..linear_sum import LinearSum, linear_sum, sum_operand
from ..selection import Candidate, Refusal
from .matrix import MVE

__all__ = ["mve_sum"]

_KERNEL = "tinyml_add_mve"

_HALVES = (1 << 15) + (1 << 19)  # TINYML_ADD_MVE_HALVES


def mve_sum(view: OpView, walk: Broadcast, *, subtract: bool) -> Candidate | Refusal:
    """Four elements at a time, where both inputs move along the rows and the function is exact."""
    if not walk.moves_both:
        return Refusal(_KERNEL, "an input is repeated along the rows")
    function = linear_sum(
        sum_operand(view.activation(0)),
        sum_operand(view.activation(1)),
        sum_operand(view.output()),
        subtract=subtract,
        activation=view.activation_range(view.output()),
        rounded=True,
    )
    if function is not None:
        function = replace(function, offset=function.offset - _HALVES)
    if function is None or _saturates(function):
        return Refusal(_KERNEL, "no linear function of the inputs gives TFLM's bytes for all pairs")
    fields = {"factor1": function.factor1, "factor2": function.factor2, "offset": function.offset}
    layer = Layer(
        op=view.op,
        kernel=_KERNEL,
        header="mve/add_mve.h",
        arguments=(
            Parameters("tinyml_add_mve_params", {"walk": walk.parameters, **fields}),
            Input(0),
            Input(1),
            Output(),
        ),
        lead=walk.lead,
        shared=True,
    )
    return Candidate(layer, 2.5 * view.output().elements + 25.0 * walk.rows, MVE)


def _saturates(function: LinearSum) -> bool:
    """Whether the offset, the first product with it, or the whole sum does not fit 32 bits."""
    reached = (replace(function, factor2=0).sums, function.sums)
    return any(sums.min() < -(2**31) or sums.max() >= 2**31 for sums in reached)
