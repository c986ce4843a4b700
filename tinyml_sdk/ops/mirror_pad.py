"""MIRROR_PAD: an input's edges reflected around it.

Semantics: tensorflow/lite/micro/kernels/mirror_pad.cc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import DType, Tensor
from .base import Input, Layer, Operator, OpView, Output, Parameters
from .overlap import gathered_lead

__all__ = ["MirrorPad"]

_MAX_RANK = 4
"""The kernel's limit."""


@dataclass(frozen=True)
class _Dimension:
    """Elements along one dimension: of the input, and what is added at either end."""

    size: int
    before: int = 0
    after: int = 0

    @property
    def padded_size(self) -> int:
        return self.before + self.size + self.after

    def sources(self, skipped: int) -> npt.NDArray[np.int64]:
        """Of each element of the output, which of the input it copies."""
        place = np.arange(self.padded_size, dtype=np.int64) - self.before
        beyond = np.where(place >= self.size, 2 * self.size - 1 - skipped - place, place)
        return np.where(place < 0, skipped - 1 - place, beyond)


class MirrorPad(Operator):
    """Inputs: int8 of rank 1 to 4; constant int32 paddings (rank, before and after). Output: int8.

    Option `mode`: REFLECT leaves the edge itself out, SYMMETRIC repeats it. Values pass on as they are, whatever the
    quantizations of input and output.
    """

    name = "MIRROR_PAD"
    versions = (1, 2)
    resolver = "AddMirrorPad"

    def lower(self, view: OpView) -> Layer:
        """Inner dimensions without padding become runs of bytes, mostly the channels."""
        view.expect_counts(2)
        input_, output = view.activation(0), view.output()
        skipped = int(view.op.options["mode"] == "REFLECT")
        dimensions = self._dimensions(view, input_, skipped)
        view.expect_shape(output, tuple(dimension.padded_size for dimension in dimensions))
        run = 1
        while dimensions and dimensions[-1].padded_size == dimensions[-1].size:
            run *= dimensions.pop().size
        dimensions = [_Dimension(1)] * (_MAX_RANK - len(dimensions)) + dimensions
        parameters = Parameters(
            "tinyml_mirror_pad_params",
            {
                "sizes": tuple(dimension.size for dimension in dimensions),
                "before": tuple(dimension.before for dimension in dimensions),
                "output_sizes": tuple(dimension.padded_size for dimension in dimensions),
                "run": run,
                "skipped": skipped,
            },
        )
        return Layer(
            op=view.op,
            kernel="tinyml_mirror_pad",
            header="mirror_pad.h",
            arguments=(parameters, Input(0), Output()),
            lead=(_lead(dimensions, run, skipped),),
        )

    def _dimensions(self, view: OpView, input_: Tensor, skipped: int) -> list[_Dimension]:
        rank = len(input_.shape)
        if not 1 <= rank <= _MAX_RANK:
            raise view.fail("input 0: shape", f"{list(input_.shape)} has {rank} dimensions, not 1 to {_MAX_RANK}")
        constant = view.constant(1, DType.INT32)
        if constant.shape != (rank, 2):
            raise view.fail("input 1: shape", f"is {list(constant.shape)}, not {[rank, 2]}")
        dimensions = []
        for axis, (size, (before, after)) in enumerate(zip(input_.shape, constant.tolist(), strict=True)):
            if not 0 <= min(before, after) <= max(before, after) <= size - skipped:
                raise view.fail(
                    "input 1", f"paddings {[before, after]} of axis {axis} are not 0 to {size - skipped}, what it has"
                )
            dimensions.append(_Dimension(size, before, after))
        return dimensions


def _lead(dimensions: list[_Dimension], run: int, skipped: int) -> int:
    """Run by run."""
    read = np.zeros(1, np.int64)
    for dimension in dimensions:
        read = (read[:, None] * dimension.size + dimension.sources(skipped)).reshape(-1)
    return gathered_lead(read[None] * run, np.arange(len(read))[None] * run, tile=1)
