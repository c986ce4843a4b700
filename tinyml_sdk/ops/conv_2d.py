"""CONV_2D: a sliding filter over all input channels, or over those of its group.

Semantics: tensorflow/lite/micro/kernels/conv_common.cc and reference_integer_ops::ConvPerChannel.
"""

from __future__ import annotations

from ..graph import Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .fully_connected import matrix_layer
from .overlap import window_lead
from .weights import filter_channels, filter_constants, product_scales, read_filter
from .window import sliding_window

__all__ = ["Conv2D"]


class Conv2D(Operator):
    """Inputs: int8 NHWC, int8 OHWI weights, optional int32 bias. Output: int8 NHWC."""

    name = "CONV_2D"
    versions = (1, 8)
    resolver = "AddConv2D"

    def lower(self, view: OpView) -> Layer:
        """A matrix product per pixel for a pointwise convolution, the general kernel otherwise."""
        view.expect_counts((2, 3))
        input_ = view.activation(0, rank=4)
        output = view.output(rank=4)
        filter_ = read_filter(view, rank=4, channel_axis=0)
        channels, filter_height, filter_width, depth = filter_.shape
        groups = self._groups(view, input_, filter_)
        window = sliding_window(view, input_, filter_height, filter_width, dilated=True)
        view.expect_shape(output, (window.batches, window.output_height, window.output_width, channels))
        if groups == 1 and window.is_pointwise:
            pixels = window.batches * window.output_height * window.output_width
            return matrix_layer(view, rows=pixels, scales=product_scales(input_, filter_))
        constants = filter_constants(view, filter_channels(filter_), scales=product_scales(input_, filter_))
        parameters = Parameters(
            "tinyml_conv_2d_params",
            {
                "window": window.parameters,
                "input_channels": depth,
                "output_channels": channels,
                "groups": groups,
                "input_zero_point": input_.zero_point,
                "output": constants.requantization,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_conv_2d",
            header="conv_2d.h",
            arguments=(parameters, Input(0), *constants.arguments, Output()),
            macs=output.elements * filter_height * filter_width * depth,
            lead=(window_lead(window, input_channels=depth * groups, output_channels=channels, channelwise=False),),
        )

    def _groups(self, view: OpView, input_: Tensor, filter_: Tensor) -> int:
        groups, rest = divmod(input_.shape[3], filter_.shape[3])
        if rest or groups == 0 or filter_.shape[0] % groups:
            raise view.fail(
                "input 1: shape",
                f"{list(filter_.shape)} does not divide the input's {input_.shape[3]} channels into groups",
            )
        return groups
