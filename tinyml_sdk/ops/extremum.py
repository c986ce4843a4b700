"""What MAXIMUM and MINIMUM share: stored values are compared, so that all three tensors must mean the same by them."""

from __future__ import annotations

from .base import Input, Layer, OpView, Output, Parameters
from .broadcast import broadcast_inputs

__all__ = ["extremum_layer"]


def extremum_layer(view: OpView, *, maximum: bool) -> Layer:
    """The larger of both inputs, or the smaller; in place over an input that is not repeated. Raises ModelError."""
    view.expect_counts(2)
    input1, input2, output = view.activation(0), view.activation(1), view.output()
    view.expect_same_quantization("input 0", input1, output)
    view.expect_same_quantization("input 1", input2, output)
    walk = broadcast_inputs(view, input1, input2, output)
    return Layer(
        op=view.op,
        kernel="tinyml_extremum",
        header="extremum.h",
        arguments=(
            Parameters("tinyml_extremum_params", {"walk": walk.parameters, "maximum": int(maximum)}),
            Input(0),
            Input(1),
            Output(),
        ),
        lead=walk.lead,
    )
