"""MEAN: the mean over any dimensions.

Semantics: tensorflow/lite/micro/kernels/reduce_common.cc and reference_ops::QuantizedMeanOrSum.
"""

from __future__ import annotations

from itertools import groupby
from math import prod

from ..graph import DType, Tensor
from .arithmetic import quantize_multiplier
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import IN_PLACE

__all__ = ["Mean"]

_INT32_LIMIT = 2**31
_KERNEL_DIMENSIONS = 3
"""Kept and reduced dimensions that the kernel has room for; six alternate at most."""


class Mean(Operator):
    """Inputs: int8 of any rank from 1, constant int32 axes. Output: int8.

    Axes may be negative and may repeat. For int8 TFLM has one path for all axes (1 and 2 of four are special in float
    only): the sum, less the zero points, times a multiplier that holds the scales and the number of elements.
    """

    name = "MEAN"
    versions = (1, 3)
    resolver = "AddMean"

    def lower(self, view: OpView) -> Layer:
        """Neighbouring dimensions that are both kept or both reduced become one."""
        view.expect_counts(2)
        input_ = view.activation(0)
        output = view.output()
        axes = self._axes(view, input_)
        keep = [size for axis, size in enumerate(input_.shape) if axis not in axes]
        keep_dims = [1 if axis in axes else size for axis, size in enumerate(input_.shape)]
        view.expect_shape(output, tuple(keep_dims if view.op.options["keep_dims"] else keep))
        multiplier, shift = self._multiplier(view, input_, output, prod(input_.shape[axis] for axis in axes))
        kept, kept_step = _merged(input_.shape, [axis for axis in range(len(input_.shape)) if axis not in axes])
        reduced, reduced_step = _merged(input_.shape, sorted(axes))
        parameters = Parameters(
            "tinyml_mean_params",
            {
                "kept": kept,
                "kept_step": kept_step,
                "reduced": reduced,
                "reduced_step": reduced_step,
                "zero_sum": input_.zero_point * prod(reduced),
                "multiplier": multiplier,
                "shift": shift,
                "output_zero_point": output.zero_point,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_mean",
            header="mean.h",
            arguments=(parameters, Input(0), Output()),
            lead=(IN_PLACE, None),
        )

    def _axes(self, view: OpView, input_: Tensor) -> set[int]:
        rank = len(input_.shape)
        given = view.constant(1, DType.INT32).reshape(-1).tolist()
        for axis in given:
            if not -rank <= axis < rank:
                raise view.fail("input 1", f"axis {axis} is outside the input's {rank} dimensions")
        return {axis % rank for axis in given}

    def _multiplier(self, view: OpView, input_: Tensor, output: Tensor, elements: int) -> tuple[int, int]:
        """The scales' multiplier divided by the number of elements, with as many bits as TFLM keeps of it."""
        multiplier, shift = quantize_multiplier(input_.scale / output.scale)
        extra = min(elements.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << extra) // elements, shift - extra
        # |sum - zero points| <= 255 x elements; scaling up shifts it left first.
        if 255 * elements << max(0, shift) >= _INT32_LIMIT:
            raise view.fail("quantization", f"the sum of {elements} elements, scaled to the output, overflows 32 bits")
        return multiplier, shift


def _merged(shape: tuple[int, ...], axes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and steps of some axes, neighbours merged, filled up in front with ones to what the kernel takes."""
    runs = [[axis for _, axis in run] for _, run in groupby(enumerate(axes), lambda item: item[1] - item[0])]
    missing = _KERNEL_DIMENSIONS - len(runs)
    sizes = [prod(shape[axis] for axis in run) for run in runs]
    steps = [prod(shape[run[-1] + 1 :]) for run in runs]
    return (*[1] * missing, *sizes), (*[0] * missing, *steps)
