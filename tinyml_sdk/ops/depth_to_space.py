"""DEPTH_TO_SPACE: blocks of channels become blocks of pixels, as decoders and super-resolution have it.

Semantics: tensorflow/lite/micro/kernels/depth_to_space.cc.
"""

from __future__ import annotations

from .base import Layer, Operator, OpView
from .transpose import rearranged_layer

__all__ = ["DepthToSpace"]


class DepthToSpace(Operator):
    """Input: int8 NHWC, whose channels the square of the block size divides. Output: int8 NHWC.

    Values pass on as they are, whatever the quantizations of input and output.
    """

    name = "DEPTH_TO_SPACE"
    versions = (1, 2)
    resolver = "AddDepthToSpace"

    def lower(self, view: OpView) -> Layer:
        """A transposition of the axes (batch, row, column, row in block, column in block, channel)."""
        view.expect_counts(1)
        batches, height, width, depth = view.activation(0, rank=4).shape
        block = view.integer("block_size", 1, 2**15 - 1)
        channels, rest = divmod(depth, block * block)
        if rest or not channels:
            raise view.fail("block_size", f"the square of {block} does not divide {depth} channels")
        view.expect_shape(view.output(), (batches, height * block, width * block, channels))
        dimensions = [
            (batches * height, width * depth),
            (block, block * channels),  # rows in a block
            (width, depth),
            (block * channels, 1),  # columns in a block
        ]
        return rearranged_layer(view, dimensions)
