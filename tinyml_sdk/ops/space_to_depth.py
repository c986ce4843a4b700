"""SPACE_TO_DEPTH: blocks of pixels become blocks of channels, as detectors' first layers have it.

Semantics: tensorflow/lite/micro/kernels/space_to_depth.cc.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .transpose import rearranged_layer

__all__ = ["SpaceToDepth"]


class SpaceToDepth(Operator):
    """Input: int8 NHWC, whose height and width the block size divides. Output: int8 NHWC.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "SPACE_TO_DEPTH"
    versions = (1, 2)
    resolver = "AddSpaceToDepth"

    def lower(self, view: OpView) -> Layer:
        """A transposition of the axes (batch, row, row in block, column, column in block, channel)."""
        view.expect_counts(1)
        batches, height, width, channels = view.activation(0, rank=4).shape
        block = view.integer("block_size", 1, 2**15 - 1)
        if height % block or width % block:
            raise view.fail("block_size", f"{block} does not divide an image of {height}x{width}")
        view.expect_shape(view.output(), (batches, height // block, width // block, channels * block * block))
        row = width * channels
        dimensions = [
            (batches * height // block, block * row),
            (width // block, block * channels),
            (block, row),  # rows in a block
            (block * channels, 1),  # columns in a block
        ]
        return rearranged_layer(view, dimensions)
