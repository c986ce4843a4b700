"""What AVERAGE_POOL_2D and MAX_POOL_2D share: all but the kernel.

Semantics: tensorflow/lite/micro/kernels/pooling_common.cc and reference_integer_ops::AveragePool, MaxPool.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ..graph import Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .dsp.matrix import DSP
from .overlap import window_lead
from .selection import Candidate, Refusal, choose_kernel
from .window import Window, sliding_window

__all__ = ["Pool2D"]

_SIZE_LIMIT = 32_767
_SUM_LIMIT = 2**31 // 256
"""Elements of a window whose sum, raised to be positive, fits 32 bits."""

_LANES = 4
"""Channels that are computed together."""


class Pool2D(Operator):
    """Input: int8 NHWC. Output: int8 NHWC of the same channels and quantization.

    Padding does not take part: it counts neither in a maximum nor in an average's number of elements.
    """

    versions = (1, 3)
    kernel: ClassVar[str]
    largest_dsp_window: ClassVar[int] = _SUM_LIMIT
    """Elements of a window that the kernel for the DSP extension can take."""

    def lower(self, view: OpView) -> Layer:
        """One kernel for any window, stride and padding, and one for the DSP extension."""
        view.expect_counts(1)
        input_ = view.activation(0, rank=4)
        output = view.output(rank=4)
        self._expect_same_quantization(view, input_, output)
        filter_height = view.integer("filter_height", 1, _SIZE_LIMIT)
        filter_width = view.integer("filter_width", 1, _SIZE_LIMIT)
        window = sliding_window(view, input_, filter_height, filter_width, dilated=False)
        channels = input_.shape[3]
        view.expect_shape(output, (window.batches, window.output_height, window.output_width, channels))
        if min(filter_height, window.input_height) * min(filter_width, window.input_width) >= _SUM_LIMIT:
            raise view.fail("filter_height", f"a window of {filter_height} x {filter_width} can overflow its sum")
        low, high = view.activation_range(output)
        parameters = Parameters(
            "tinyml_pool_2d_params",
            {
                "window": window.parameters,
                "channels": channels,
                "stays_inside": int(window.stays_inside),
                "activation_min": low,
                "activation_max": high,
            },
        )
        portable = Layer(
            op=view.op,
            kernel=self.kernel,
            header="pool_2d.h",
            arguments=(parameters, Input(0), Output()),
            lead=(window_lead(window, input_channels=channels, output_channels=channels, channelwise=True),),
        )
        return choose_kernel(
            view, [Candidate(portable, _cost(window, channels, 2.0)), self._dsp(portable, window, channels)]
        )

    def _dsp(self, portable: Layer, window: Window, channels: int) -> Candidate | Refusal:
        kernel = f"{self.kernel}_dsp"
        if channels < _LANES:
            return Refusal(kernel, f"it is for {_LANES} channels or more")
        if window.filter_height * window.filter_width > self.largest_dsp_window:
            return Refusal(kernel, f"sums of more than {self.largest_dsp_window} elements do not fit 16 bits")
        layer = replace(portable, kernel=kernel, header="dsp/pool_2d_dsp.h")
        return Candidate(layer, _cost(window, channels, 1.3), DSP)

    def _expect_same_quantization(self, view: OpView, input_: Tensor, output: Tensor) -> None:
        # TFLM's own tolerance. Within it, values are passed on as they are.
        difference = abs(np.float32(input_.scale) - np.float32(output.scale))
        if difference > 1e-6 or input_.zero_point != output.zero_point:
            raise view.fail(
                "output 0: quantization",
                f"scale {output.scale:g} and zero point {output.zero_point} differ from the input's "
                f"{input_.scale:g} and {input_.zero_point}; poolings do not rescale",
            )


def _cost(window: Window, channels: int, per_element: float) -> float:
    """Instructions: of each element of each window, and of each output."""
    outputs = window.batches * window.output_height * window.output_width * channels
    return outputs * (per_element * window.filter_height * window.filter_width + 15)
