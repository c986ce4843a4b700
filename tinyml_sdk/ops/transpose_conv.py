"""TRANSPOSE_CONV: each input pixel adds a scaled filter to the output, stride steps apart; it enlarges images.

Semantics: tensorflow/lite/micro/kernels/transpose_conv.cc and reference_integer_ops::TransposeConv.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .dsp.transpose_conv import dsp_transpose_conv
from .overlap import gathered_lead
from .scalar.matrix import portable_effort
from .selection import Candidate, choose_kernel
from .weights import filter_channels, filter_constants, product_scales, read_filter

__all__ = ["TransposeConv"]

_LARGEST = 2**15 - 1
_PORTABLE_COST, _PORTABLE_OUTPUT = 4.0, 20.0
"""Instructions of the portable kernel for each multiply-accumulate, and for each output."""

_BLOCK = 4
"""Channels that the kernel computes together."""


@dataclass(frozen=True)
class _Axis:
    """Height or width: sizes in elements, `padding` what of the filter's reach is cut off before the output."""

    input_size: int
    output_size: int
    filter_size: int
    stride: int
    padding: int

    def first_read(self) -> npt.NDArray[np.int64]:
        """The first input position that reaches each output position, `input_size` where none does."""
        place = np.arange(self.output_size) + self.padding
        last = np.minimum(place // self.stride, self.input_size - 1)
        first = np.maximum(0, -(-(place - self.filter_size + 1) // self.stride))
        return np.where(first <= last, first, self.input_size)


class TransposeConv(Operator):
    """Inputs: int32 shape of the output, int8 OHWI weights, int8 NHWC, optional int32 bias. Output: int8 NHWC.

    The output tensor's own shape decides, as in TFLM; a constant shape must say the same.
    """

    name = "TRANSPOSE_CONV"
    versions = (1, 5)
    resolver = "AddTransposeConv"

    def lower(self, view: OpView) -> Layer:
        """A loop over output pixels: sums stay in registers, where TFLM has a 32-bit number for each output."""
        view.expect_counts((3, 4))
        input_, output = view.activation(2, rank=4), view.output(rank=4)
        self._expect_shape(view, output)
        filter_ = read_filter(view, rank=4, channel_axis=0)
        channels, *_, depth = filter_.shape
        if depth != input_.shape[3]:
            raise view.fail(
                "input 1: shape", f"{list(filter_.shape)} is not for the input's {input_.shape[3]} channels"
            )
        rows, columns = self._axis(view, 1), self._axis(view, 2)
        view.expect_shape(output, (input_.shape[0], rows.output_size, columns.output_size, channels))
        weights, scales = filter_channels(filter_), product_scales(input_, filter_)
        constants = filter_constants(view, weights, scales=scales, bias_input=3)
        sizes = {
            "batches": input_.shape[0],
            "input_height": rows.input_size,
            "input_width": columns.input_size,
            "output_height": rows.output_size,
            "output_width": columns.output_size,
            "filter_height": rows.filter_size,
            "filter_width": columns.filter_size,
            "stride_height": rows.stride,
            "stride_width": columns.stride,
            "padding_top": rows.padding,
            "padding_left": columns.padding,
            "input_channels": depth,
            "input_zero_point": input_.zero_point,
        }
        parameters = Parameters(
            "tinyml_transpose_conv_params",
            {**sizes, "output_channels": channels, "output": constants.requantization},
        )
        portable = Layer(
            op=view.op,
            kernel="tinyml_transpose_conv",
            header="transpose_conv.h",
            arguments=(parameters, Input(2), *constants.arguments, Output()),
            macs=input_.elements * weights.size // depth,
            lead=(None, None, _lead(input_, rows, columns, channels)),
        )
        cost = portable_effort(view) * (_PORTABLE_COST * portable.macs + _PORTABLE_OUTPUT * output.elements)
        candidates = [Candidate(portable, cost), dsp_transpose_conv(view, filter_, scales, sizes, portable.macs)]
        return choose_kernel(view, candidates)

    def _expect_shape(self, view: OpView, output: Tensor) -> None:
        told = view.constant(0, DType.INT32)
        if told.reshape(-1).tolist() != list(output.shape):
            raise view.fail("input 0", f"the shape {told.tolist()} differs from the output's, {list(output.shape)}")

    def _axis(self, view: OpView, dimension: int) -> _Axis:
        """Padding as of the convolution that would make the input of the output (`ComputePaddingHeightWidth`)."""
        input_size, output_size = view.activation(2).shape[dimension], view.output().shape[dimension]
        filter_size = view.input(1).shape[dimension]
        stride = view.integer("stride_h" if dimension == 1 else "stride_w", 1, _LARGEST)
        if max(input_size * stride, output_size, filter_size) > _LARGEST:
            what = "height" if dimension == 1 else "width"
            raise view.fail(what, f"of {output_size} from {input_size}, filter {filter_size}, is over {_LARGEST:,}")
        padding = 0
        if view.op.options["padding"] == "SAME":
            steps = -(-output_size // stride)
            padding = max(0, (steps - 1) * stride + filter_size - output_size) // 2
        return _Axis(input_size, output_size, filter_size, stride, padding)


def _lead(input_: Tensor, rows: _Axis, columns: _Axis, channels: int) -> int:
    """Pixel by pixel; while the last block of channels is computed, the others are written."""
    batches, height, width, depth = input_.shape
    first_row, first_column = rows.first_read()[:, None], columns.first_read()
    reads = (first_row < height) & (first_column < width)
    image = np.where(reads, first_row * width + first_column, height * width).reshape(-1)
    read = (np.arange(batches)[:, None] * height * width + image) * depth
    written = np.arange(read.size).reshape(read.shape) * channels
    last_block = channels - (_BLOCK if channels % _BLOCK == 0 else 1)
    return gathered_lead(read.reshape(1, -1), written.reshape(1, -1) + last_block, tile=1)
