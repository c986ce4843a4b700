"""What ADD and SUB share: both inputs are brought to a common scale, combined, and rescaled.

Scales are computed in double precision, here as in RELU and FULLY_CONNECTED: so does the TFLM of October 2026 (see its
issue 3271). Before, it took some of them in single precision, and one output in a million differs.
"""

from __future__ import annotations

from ..graph import Tensor
from .arithmetic import quantize_multiplier
from .base import Input, Layer, OpView, Output, Parameters, ParameterValue
from .broadcast import Broadcast, broadcast_inputs
from .dsp.matrix import DSP
from .linear_sum import LinearSum, linear_sum, sum_operand
from .mve.sum import mve_sum
from .scalar.matrix import SCALAR, portable_effort
from .selection import Candidate, Refusal, choose_kernel

__all__ = ["sum_layer"]

_HEADROOM = 1 << 20
"""Inputs are scaled up by this before they are combined. A sum of two then has 29 bits."""


def sum_layer(view: OpView, *, subtract: bool) -> Layer:
    """The layer of ADD and SUB. Raises ModelError, also for scales so far apart that TFLM aborts."""
    view.expect_counts(2)
    input1, input2 = view.activation(0), view.activation(1)
    walk = broadcast_inputs(view, input1, input2, view.output())
    portable = _portable(view, walk, subtract)  # first, as it refuses what the others take for granted
    return choose_kernel(view, [portable, *_linear(view, walk, subtract), mve_sum(view, walk, subtract=subtract)])


def _portable(view: OpView, walk: Broadcast, subtract: bool) -> Candidate:
    input1, input2, output = view.activation(0), view.activation(1), view.output()
    common = 2 * max(input1.scale, input2.scale)
    low, high = view.activation_range(output)
    parameters = Parameters(
        "tinyml_add_params",
        {
            "walk": walk.parameters,
            "input1": _rescaling(view, input1, input1.scale / common),
            "input2": _rescaling(view, input2, input2.scale / common),
            "subtract": int(subtract),
            "output": _rescaling(view, output, common / (_HEADROOM * output.scale)),
            "activation_min": low,
            "activation_max": high,
        },
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_add",
        header="add.h",
        arguments=(parameters, Input(0), Input(1), Output()),
        lead=walk.lead,
    )
    return Candidate(layer, cost=portable_effort(view) * 26.0 * view.output().elements + 10.0 * walk.rows)


def _linear(view: OpView, walk: Broadcast, subtract: bool) -> list[Candidate | Refusal]:
    """Where both inputs move along the rows and a linear function is exact: on a core with DSP, and on one without."""
    function = _linear_function(view, walk, subtract)
    if isinstance(function, str):
        return [Refusal(kernel, function) for kernel in ("tinyml_add_dsp", "tinyml_add_scalar")]
    elements, rows = view.output().elements, walk.rows
    return [
        Candidate(_linear_layer(view, walk, function, "dsp"), 6.0 * elements + 45.0 * rows, DSP),
        Candidate(_linear_layer(view, walk, function, "scalar"), 20.0 * elements + 40.0 * rows, SCALAR),
    ]


def _linear_function(view: OpView, walk: Broadcast, subtract: bool) -> LinearSum | str:
    """The linear function, or why there is none."""
    if not walk.moves_both:
        return "an input is repeated along the rows"
    function = linear_sum(
        sum_operand(view.activation(0)),
        sum_operand(view.activation(1)),
        sum_operand(view.output()),
        subtract=subtract,
        activation=view.activation_range(view.output()),
    )
    return function or "no linear function of the inputs gives TFLM's bytes for all pairs"


def _linear_layer(view: OpView, walk: Broadcast, function: LinearSum, kind: str) -> Layer:
    fields = {"factor1": function.factor1, "factor2": function.factor2, "offset": function.offset}
    parameters = Parameters(f"tinyml_add_{kind}_params", {"walk": walk.parameters, **fields})
    return Layer(
        op=view.op,
        kernel=f"tinyml_add_{kind}",
        header=f"{kind}/add_{kind}.h",
        arguments=(parameters, Input(0), Input(1), Output()),
        lead=walk.lead,
        shared=True,
    )


def _rescaling(view: OpView, tensor: Tensor, factor: float) -> dict[str, ParameterValue]:
    """The fields of the C struct `tinyml_rescaling`. TFLM aborts on factors of 1 and more."""
    multiplier, shift = quantize_multiplier(factor)
    if shift > 0:
        raise view.fail("quantization", "the scales of inputs and output are too far apart")
    return {"zero_point": tensor.zero_point, "multiplier": multiplier, "shift": shift}
