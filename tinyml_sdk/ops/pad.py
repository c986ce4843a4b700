"""PAD: the output's zero point around the input.

Semantics: tensorflow/lite/micro/kernels/pad.cc, pad_common.cc and reference_ops::Pad.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters

__all__ = ["Pad"]

_MAX_RANK = 5
"""TFLM's limit, and the kernel's."""


@dataclass(frozen=True)
class _Dimension:
    """Elements of the input along a dimension, and of the padding on both sides of them."""

    size: int
    before: int = 0
    after: int = 0

    @property
    def padded_size(self) -> int:
        return self.before + self.size + self.after


class Pad(Operator):
    """Inputs: int8 of rank 1 to 5, constant int32 paddings (rank, 2). Output: int8.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "PAD"
    versions = (1, 4)
    resolver = "AddPad"

    def lower(self, view: OpView) -> Layer:
        """Dimensions are merged where possible, for long rows and few loops."""
        view.expect_counts(2)
        input_ = view.activation(0)
        output = view.output()
        dimensions = self._dimensions(view, input_)
        view.expect_shape(output, tuple(dimension.padded_size for dimension in dimensions))
        dimensions = _merge(dimensions)
        dimensions = [_Dimension(1)] * (_MAX_RANK - len(dimensions)) + dimensions
        # The bytes of the output that one step along a dimension spans.
        steps = [prod(inner.padded_size for inner in dimensions[place + 1 :]) for place in range(_MAX_RANK)]
        after = tuple(dimension.after * step for dimension, step in zip(dimensions, steps, strict=True))
        parameters = Parameters(
            "tinyml_pad_params",
            {
                "sizes": tuple(dimension.size for dimension in dimensions),
                "before": tuple(dimension.before * step for dimension, step in zip(dimensions, steps, strict=True)),
                "after": after,
                "value": output.zero_point,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_pad",
            header="pad.h",
            arguments=(parameters, Input(0), Output()),
            # When the last row is read, all padding is written but what follows that row.
            lead=(output.bytes - input_.bytes - sum(after), None),
        )

    def _dimensions(self, view: OpView, input_: Tensor) -> list[_Dimension]:
        rank = len(input_.shape)
        if rank > _MAX_RANK:
            raise view.fail("input 0: shape", f"{list(input_.shape)} has {rank} dimensions, not at most {_MAX_RANK}")
        constant = view.constant(1, DType.INT32)
        if constant.size != 2 * rank:
            raise view.fail("input 1: shape", f"is {list(constant.shape)}, not {[rank, 2]}")
        paddings: list[list[int]] = constant.reshape(rank, 2).tolist()
        if min(map(min, paddings)) < 0:
            raise view.fail("input 1", f"paddings {paddings} are not all at least 0")
        return [_Dimension(size, before, after) for size, (before, after) in zip(input_.shape, paddings, strict=True)]


def _merge(dimensions: list[_Dimension]) -> list[_Dimension]:
    """The same padding with fewer dimensions: one without padding becomes part of the elements of the one before."""
    merged = [dimensions[0]]
    for dimension in dimensions[1:]:
        outer = merged[-1]
        if dimension.before or dimension.after:
            merged.append(dimension)
        else:
            size = dimension.size
            merged[-1] = _Dimension(outer.size * size, outer.before * size, outer.after * size)
    return merged
