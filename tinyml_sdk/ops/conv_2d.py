"""CONV_2D: a sliding filter over all input channels, or over those of its group.

Semantics: tensorflow/lite/micro/kernels/conv_common.cc and reference_integer_ops::ConvPerChannel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters, Scratch
from .dsp.matrix import DSP, MIXED_WEIGHTS_REFUSED, dsp_constants, gathered_bytes, packed_rests, pair_cost, run_order
from .fully_connected import matrix_layer
from .mve.conv_2d import mve_convolution
from .overlap import gathered_window_lead, window_lead
from .scalar.matrix import portable_effort, scalar_convolution
from .selection import Candidate, Refusal, choose_kernel
from .sparse.layers import sparse_convolutions
from .weights import filter_channels, filter_constants, product_scales, read_filter
from .window import Window, sliding_window

__all__ = ["Conv2D", "dsp_convolution"]

_DSP_KERNEL, _MVE_KERNEL = "tinyml_conv_2d_dsp", "tinyml_conv_2d_mve"


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
        channels, filter_height, filter_width, _ = filter_.shape
        groups = self._groups(view, input_, filter_)
        window = sliding_window(view, input_, filter_height, filter_width, dilated=True)
        view.expect_shape(output, (window.batches, window.output_height, window.output_width, channels))
        if groups == 1 and window.is_pointwise:
            pixels = window.batches * window.output_height * window.output_width
            return matrix_layer(view, rows=pixels, scales=product_scales(input_, filter_))
        portable = _portable(view, window, filter_, groups)
        if groups > 1:
            refusals = [Refusal(kernel, "the convolution is in groups") for kernel in (_DSP_KERNEL, _MVE_KERNEL)]
            return choose_kernel(view, [portable, *refusals])
        weights, scales = filter_channels(filter_), product_scales(input_, filter_)
        folded = filter_constants(view, weights, scales=scales, fold_zero_point=input_.zero_point)
        candidates = [
            portable,
            dsp_convolution(view, window, weights, scales=scales),
            mve_convolution(view, window, folded),
            scalar_convolution(view, window, folded),
            *sparse_convolutions(view, window, folded, input_channels=filter_.shape[3]),
        ]
        return choose_kernel(view, candidates)

    def _groups(self, view: OpView, input_: Tensor, filter_: Tensor) -> int:
        groups, rest = divmod(input_.shape[3], filter_.shape[3])
        if rest or groups == 0 or filter_.shape[0] % groups:
            raise view.fail(
                "input 1: shape",
                f"{list(filter_.shape)} does not divide the input's {input_.shape[3]} channels into groups",
            )
        return groups


def _portable(view: OpView, window: Window, filter_: Tensor, groups: int) -> Candidate:
    input_, output = view.activation(0), view.output()
    channels, filter_height, filter_width, depth = filter_.shape
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
    products = filter_height * filter_width * depth
    layer = Layer(
        op=view.op,
        kernel="tinyml_conv_2d",
        header="conv_2d.h",
        arguments=(parameters, Input(0), *constants.arguments, Output()),
        macs=output.elements * products,
        lead=(window_lead(window, input_channels=depth * groups, output_channels=channels, channelwise=False),),
    )
    # Four channels of a group at a time, then what is left of them one by one, which needs fewer registers.
    together, alone = channels // groups // 4 * 4, channels // groups % 4
    runs = filter_height * filter_width // (window.run_taps if groups == 1 else 1)
    effort = portable_effort(view)
    pixel = effort * together * (2.8 * products + 4 * runs + 25)
    pixel += effort**0.5 * alone * (5.2 * products + 15 * runs + 25)
    return Candidate(layer, cost=output.elements // channels * groups * pixel)


def dsp_convolution(
    view: OpView, window: Window, weights: npt.NDArray[np.generic], *, scales: tuple[float, ...]
) -> Candidate | Refusal:
    """Two output pixels at a time, gathered in scratch before they are written.

    Args:
        view: The op: a convolution, or a depthwise one of a single input channel, which is the same.
        window: Its geometry.
        weights: int8, (output channels, products in the order of rows, columns and input channels).
        scales: See `product_scales`.
    """
    input_, output = view.activation(0), view.output()
    filter_height, filter_width = window.filter_height, window.filter_width
    channels, depth = len(weights), input_.shape[3]
    run = window.run_taps * depth
    runs = filter_height * filter_width // window.run_taps
    constants = filter_constants(view, weights, scales=scales, fold_zero_point=input_.zero_point)
    dsp = dsp_constants(constants, run_order(runs, run, channels), block=4)
    if dsp is None:
        return Refusal(_DSP_KERNEL, MIXED_WEIGHTS_REFUSED)
    parameters = Parameters(
        "tinyml_conv_2d_dsp_params",
        {
            **window.runs_parameters(depth, input_.zero_point),
            "matrix": dsp.matrix("pair"),
        },
    )
    layer = Layer(
        op=view.op,
        kernel=_DSP_KERNEL,
        header="dsp/conv_2d_dsp.h",
        arguments=(parameters, Input(0), *dsp.arguments, Output(), Scratch()),
        macs=output.elements * runs * run,
        lead=(gathered_window_lead(window, input_channels=depth, output_channels=channels),),
        scratch_bytes=gathered_bytes(runs, run, dsp.depth),
        shared=True,
    )
    # At the border a run is copied with the padding, which its two pixels do for each other.
    gathering = (35 + 90 * (1 - window.inside_pairs)) * runs + 3 * dsp.depth + 12 * packed_rests(runs, run, dsp.depth)
    return Candidate(
        layer, pair_cost(output.elements // channels, dsp.depth, channels, gathering=gathering), DSP, code_bytes=900
    )
