"""RESIZE_BILINEAR: an image of another size, each pixel a weighted mean of the four around its place.

Semantics: tensorflow/lite/micro/kernels/resize_bilinear.cc and reference_ops::ResizeBilinearInteger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .base import Constant, Input, Layer, Operator, OpView, Output, Parameters
from .overlap import gathered_lead
from .resize import resized_image

__all__ = ["ResizeBilinear"]

_ONE = 1 << 10
"""TFLM's fixed point: positions and weights have ten bits behind the point."""


@dataclass(frozen=True, eq=False)
class _Axis:
    """Of each output row or column: the first of its two neighbours, and the weight of the second in 1024ths."""

    first: npt.NDArray[np.int64]
    weight: npt.NDArray[np.int64]

    def constants(self, name: str) -> tuple[Constant, Constant]:
        return Constant(f"first_{name}", self.first.astype(np.int16)), Constant(
            f"{name}_weight", self.weight.astype(np.int16)
        )


class ResizeBilinear(Operator):
    """Inputs: int8 NHWC, constant int32 size (2,): height, width. Output: int8 NHWC.

    Stored values are interpolated, whatever the quantizations of input and output.
    """

    name = "RESIZE_BILINEAR"
    versions = (1, 4)
    resolver = "AddResizeBilinear"

    def lower(self, view: OpView) -> Layer:
        """Positions and weights come from the host, as each is the same for all pixels of a row or column."""
        input_, output = resized_image(view)
        batches, height, width, channels = input_.shape
        rows, columns = _axis(view, height, output.shape[1]), _axis(view, width, output.shape[2])
        parameters = Parameters(
            "tinyml_resize_bilinear_params",
            {
                "batches": batches,
                "input_height": height,
                "input_width": width,
                "output_height": output.shape[1],
                "output_width": output.shape[2],
                "channels": channels,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_resize_bilinear",
            header="resize_bilinear.h",
            arguments=(parameters, Input(0), *rows.constants("row"), *columns.constants("column"), Output()),
            lead=(_lead(input_, rows, columns),),
        )


def _axis(view: OpView, input_size: int, output_size: int) -> _Axis:
    """`ComputeInterpolationValuesInteger`. Where both neighbours are one pixel, their weights do not matter."""
    one = int(bool(view.op.options["align_corners"]) and output_size > 1)
    scale = (_ONE * (input_size - one) + (output_size - one) // 2) // (output_size - one)
    place = np.arange(output_size, dtype=np.int64) * scale
    if view.op.options["half_pixel_centers"]:
        place = np.maximum(0, place + scale // 2 - _ONE // 2)
    first = place // _ONE
    if int(first.max()) >= input_size:
        raise view.fail("input 1", f"the steps of {output_size} pixels over {input_size} round to beyond the last")
    return _Axis(first, np.where(first == input_size - 1, 0, place % _ONE))


def _lead(input_: Tensor, rows: _Axis, columns: _Axis) -> int:
    """Pixel by pixel; a channel's four inputs are read before it is written."""
    batches, height, width, channels = input_.shape
    read = (np.arange(batches)[:, None, None] * height + rows.first[:, None]) * width + columns.first
    written = np.arange(read.size)
    return gathered_lead(read.reshape(1, -1) * channels, written.reshape(1, -1) * channels, tile=1)
