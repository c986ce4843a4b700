"""DEPTHWISE_CONV_2D: a sliding filter over one input channel for each output channel.

Semantics: tensorflow/lite/micro/kernels/depthwise_conv_common.cc and reference_integer_ops::DepthwiseConvPerChannel.
"""

from __future__ import annotations

from ..graph import Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .conv_2d import dsp_convolution
from .dsp.depthwise import dsp_depthwise, dsp_depthwise_taps
from .dsp.depthwise_lines import dsp_depthwise_lines
from .mve.conv_2d import mve_convolution
from .mve.depthwise_3x3 import mve_depthwise
from .mve.depthwise_conv_2d import mve_any_depthwise
from .overlap import window_lead
from .scalar.depthwise_3x3 import scalar_depthwise
from .scalar.matrix import portable_effort, scalar_convolution
from .selection import Candidate, Refusal, choose_kernel
from .weights import filter_constants, product_scales, read_filter
from .window import sliding_window

__all__ = ["DepthwiseConv2D"]

_PORTABLE_COST = 4.6
"""Instructions per multiply-accumulate of the portable kernel, measured on filters of one to 25 taps."""

_PORTABLE_OUTPUT = 17.0
"""Besides, per output."""

_SHARED_COST = 20.0
"""The same of one instance for all layers, which has to look at every tap."""


class DepthwiseConv2D(Operator):
    """Inputs: int8 NHWC, int8 1HWC weights, optional int32 bias. Output: int8 NHWC.

    Output channel c reads input channel c // depth multiplier. A bias left out by the index -1, as the converter does,
    is zero here; TFLM crashes on it (CalculateOpDataDepthwiseConv frees the tensor that is not there).
    """

    name = "DEPTHWISE_CONV_2D"
    versions = (1, 7)
    resolver = "AddDepthwiseConv2D"

    def lower(self, view: OpView) -> Layer:
        """The input's zero point goes into the bias; the kernel puts it right where a window meets the padding."""
        view.expect_counts((2, 3))
        input_ = view.activation(0, rank=4)
        output = view.output(rank=4)
        filter_ = read_filter(view, rank=4, channel_axis=3)
        _, filter_height, filter_width, channels = filter_.shape
        multiplier = self._depth_multiplier(view, input_, filter_)
        window = sliding_window(view, input_, filter_height, filter_width, dilated=True)
        view.expect_shape(output, (window.batches, window.output_height, window.output_width, channels))
        assert filter_.data is not None
        weights, scales = filter_.data.reshape(-1, channels).T, product_scales(input_, filter_)
        constants = filter_constants(view, weights, scales=scales, fold_zero_point=input_.zero_point)
        parameters = Parameters(
            "tinyml_depthwise_conv_2d_params",
            {
                "window": window.parameters,
                "input_channels": input_.shape[3],
                "depth_multiplier": multiplier,
                "input_zero_point": input_.zero_point,
                "stays_inside": int(window.stays_inside),
                "output": constants.requantization,
            },
        )
        portable = Layer(
            op=view.op,
            kernel="tinyml_depthwise_conv_2d",
            header="depthwise_conv_2d.h",
            arguments=(parameters, Input(0), *constants.arguments, Output()),
            macs=output.elements * filter_height * filter_width,
            lead=(
                window_lead(window, input_channels=input_.shape[3], output_channels=channels, channelwise=True),
                None,
                None,
            ),
        )
        cost = portable.macs * _PORTABLE_COST + output.elements * _PORTABLE_OUTPUT
        if view.optimize == "size":
            cost = portable.macs * _SHARED_COST
        candidates: list[Candidate | Refusal] = [
            Candidate(portable, cost=portable_effort(view) * cost, code_bytes=600),
            dsp_depthwise(view, window, constants, input_, portable),
            dsp_depthwise_lines(view, window, constants, input_, portable),
            dsp_depthwise_taps(view, window, constants, multiplier),
            mve_depthwise(view, window, constants, input_, portable),
            mve_any_depthwise(view, window, filter_constants(view, weights, scales=scales), input_, portable),
            scalar_depthwise(view, window, constants, input_, portable.macs),
        ]
        if input_.shape[3] == 1:
            candidates.append(dsp_convolution(view, window, weights, scales=scales))
            candidates.append(mve_convolution(view, window, constants))
            candidates.append(scalar_convolution(view, window, constants))
        return choose_kernel(view, candidates)

    def _depth_multiplier(self, view: OpView, input_: Tensor, filter_: Tensor) -> int:
        if filter_.shape[0] != 1:
            raise view.fail("input 1: shape", f"is {list(filter_.shape)}, but the first dimension must be 1")
        multiplier = view.integer("depth_multiplier", 1, filter_.shape[3])
        if filter_.shape[3] != input_.shape[3] * multiplier:
            raise view.fail(
                "depth_multiplier",
                f"is {multiplier}, but the input has {input_.shape[3]} channels and the filter {filter_.shape[3]}",
            )
        return multiplier
