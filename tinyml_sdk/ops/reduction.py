"""What operators share that make one value of many, over any dimensions: MEAN, SUM, REDUCE_MAX and REDUCE_MIN."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import prod

from ..graph import DType, Tensor
from .base import Input, Layer, OpView, Output, Parameters, ParameterValue
from .global_pool import whole_image_candidates
from .overlap import IN_PLACE
from .selection import Candidate, choose_kernel

__all__ = ["Reduction", "extremum_reduction", "read_reduction", "sum_reduction"]

_INT32_LIMIT = 2**31
_KERNEL_DIMENSIONS = 3
"""Kept and reduced dimensions that the kernels have room for; six alternate at most."""


@dataclass(frozen=True)
class Reduction:
    """How a kernel walks over the input.

    Attributes:
        walk: The fields of the C struct `tinyml_reduction`.
        elements: How many values become one.
    """

    walk: dict[str, ParameterValue]
    elements: int


def read_reduction(view: OpView) -> Reduction:
    """The op's axes, input 1, with its shapes checked. Neighbours that are both kept or both reduced become one.

    Raises ModelError.
    """
    view.expect_counts(2)
    input_, output = view.activation(0), view.output()
    axes = _axes(view, input_)
    keep = [size for axis, size in enumerate(input_.shape) if axis not in axes]
    keep_dims = [1 if axis in axes else size for axis, size in enumerate(input_.shape)]
    view.expect_shape(output, tuple(keep_dims if view.op.options["keep_dims"] else keep))
    kept, kept_step = _merged(input_.shape, [axis for axis in range(len(input_.shape)) if axis not in axes])
    reduced, reduced_step = _merged(input_.shape, sorted(axes))
    walk: dict[str, ParameterValue] = {
        "kept": kept,
        "kept_step": kept_step,
        "reduced": reduced,
        "reduced_step": reduced_step,
    }
    return Reduction(walk, prod(reduced))


def sum_reduction(view: OpView, reduction: Reduction, multiplier: int, shift: int) -> Layer:
    """The layer whose outputs are sums of inputs, less the zero points, times a multiplier. Raises ModelError."""
    input_, output, elements = view.activation(0), view.output(), reduction.elements
    # |sum - zero points| <= 255 x elements; scaling up shifts it left first.
    if 255 * elements << max(0, shift) >= _INT32_LIMIT:
        raise view.fail("quantization", f"the sum of {elements} elements, scaled to the output, overflows 32 bits")
    parameters = Parameters(
        "tinyml_mean_params",
        {
            "walk": reduction.walk,
            "zero_sum": input_.zero_point * elements,
            "multiplier": multiplier,
            "shift": shift,
            "output_zero_point": output.zero_point,
        },
    )
    layer = Layer(
        op=view.op,
        kernel="tinyml_mean",
        header="mean.h",
        arguments=(parameters, Input(0), Output()),
        lead=(IN_PLACE, None),
    )
    cost = output.elements * (2.3 * elements + 25)
    return choose_kernel(view, [Candidate(layer, cost), *whole_image_candidates(view, layer)])


def extremum_reduction(view: OpView, *, maximum: bool) -> Layer:
    """The layer whose outputs are the largest of inputs, or the smallest. Raises ModelError."""
    reduction = read_reduction(view)
    view.expect_same_quantization("input 0", view.activation(0), view.output())
    parameters = Parameters("tinyml_reduce_extremum_params", {"walk": reduction.walk, "maximum": int(maximum)})
    layer = Layer(
        op=view.op,
        kernel="tinyml_reduce_extremum",
        header="reduce_extremum.h",
        arguments=(parameters, Input(0), Output()),
        lead=(IN_PLACE, None),
    )
    whole_image = whole_image_candidates(view, layer) if maximum else []
    return choose_kernel(
        view, [Candidate(layer, view.output().elements * (4.2 * reduction.elements + 25)), *whole_image]
    )


def _axes(view: OpView, input_: Tensor) -> set[int]:
    rank = len(input_.shape)
    given = view.constant(1, DType.INT32).reshape(-1).tolist()
    for axis in given:
        if not -rank <= axis < rank:
            raise view.fail("input 1", f"axis {axis} is outside the input's {rank} dimensions")
    return {axis % rank for axis in given}


def _merged(shape: tuple[int, ...], axes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes and steps of some axes, neighbours merged, filled up in front with ones to what the kernel takes."""
    runs = [[axis for _, axis in run] for _, run in groupby(enumerate(axes), lambda item: item[1] - item[0])]
    missing = _KERNEL_DIMENSIONS - len(runs)
    sizes = [prod(shape[axis] for axis in run) for run in runs]
    steps = [prod(shape[run[-1] + 1 :]) for run in runs]
    return (*[1] * missing, *sizes), (*[0] * missing, *steps)
