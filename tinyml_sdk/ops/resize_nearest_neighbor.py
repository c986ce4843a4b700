"""RESIZE_NEAREST_NEIGHBOR: an image of another size, each pixel a copy of the nearest.

Semantics: tensorflow/lite/micro/kernels/resize_nearest_neighbor.cc and reference_ops::ResizeNearestNeighbor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .base import Constant, Input, Layer, Operator, OpView, Output, Parameters
from .overlap import gathered_lead
from .resize import resized_image

__all__ = ["ResizeNearestNeighbor"]


class ResizeNearestNeighbor(Operator):
    """Inputs: int8 NHWC, constant int32 size (2,): height, width. Output: int8 NHWC, with the input's quantization.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "RESIZE_NEAREST_NEIGHBOR"
    versions = (1, 4)
    resolver = "AddResizeNearestNeighbor"

    def lower(self, view: OpView) -> Layer:
        """The host counts how often each row and column is taken; the device only copies."""
        input_, output = resized_image(view)
        batches, height, width, channels = input_.shape
        rows, columns = (_sources(view, input_.shape[axis], output.shape[axis]) for axis in (1, 2))
        parameters = Parameters(
            "tinyml_resize_nearest_neighbor_params",
            {
                "batches": batches,
                "input_height": height,
                "input_width": width,
                "output_width": len(columns),
                "channels": channels,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_resize_nearest_neighbor",
            header="resize_nearest_neighbor.h",
            arguments=(
                parameters,
                Input(0),
                Constant("rows", _counted(rows, height)),
                Constant("columns", _counted(columns, width)),
                Output(),
            ),
            lead=(_lead(input_, rows, columns),),
        )


def _sources(view: OpView, input_size: int, output_size: int) -> npt.NDArray[np.int64]:
    """Of each output row or column, which of the input it copies (`GetNearestNeighbor`), in single precision as there.

    They never go down.
    """
    align_corners = bool(view.op.options["align_corners"])
    one = int(align_corners and output_size > 1)
    scale = np.float32(input_size - one) / np.float32(output_size - one)
    centre = np.float32(0.5 if view.op.options["half_pixel_centers"] else 0)
    place = (np.arange(output_size, dtype=np.float32) + centre) * scale
    # A half more than 24 bits may hold: rounding is to the nearest, ties up.
    nearest = np.floor(place.astype(np.float64) + (0.5 if align_corners else 0))
    sources: npt.NDArray[np.int64] = np.minimum(nearest, input_size - 1).astype(np.int64)
    return sources


def _counted(sources: npt.NDArray[np.int64], input_size: int) -> npt.NDArray[np.int16]:
    return np.bincount(sources, minlength=input_size).astype(np.int16)


def _lead(input_: Tensor, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> int:
    """Copy by copy: a pixel's for the first of equal rows, which read nothing of the input themselves."""
    batches, height, width, channels = input_.shape
    is_first = np.diff(rows, prepend=-1) > 0
    read = (np.arange(batches)[:, None, None] * height + rows[:, None]) * width + columns
    written = np.arange(read.size).reshape(read.shape)
    read = np.where(is_first[:, None], read, read.size)
    return gathered_lead(read.reshape(1, -1) * channels, written.reshape(1, -1) * channels, tile=1)
