"""What RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR share: two images and a size that the file tells twice."""

from __future__ import annotations

from ..graph import DType, Tensor
from .base import OpView

__all__ = ["resized_image"]

_LARGEST = 2**15 - 1


def resized_image(view: OpView) -> tuple[Tensor, Tensor]:
    """Input and output, int8 NHWC, of which the second has the height and width that the op's input 1 tells.

    Raises ModelError.
    """
    view.expect_counts(2)
    input_, output = view.activation(0, rank=4), view.output(rank=4)
    size = view.constant(1, DType.INT32)
    if size.shape != (2,):
        raise view.fail("input 1: shape", f"is {list(size.shape)}, not [2]")
    height, width = size.tolist()
    if not 1 <= min(height, width) <= max(height, width, *input_.shape[1:3]) <= _LARGEST:
        raise view.fail("input 1", f"a height or width of {[height, width]} is outside 1 to {_LARGEST:,}")
    if view.op.options["align_corners"] and view.op.options["half_pixel_centers"]:
        raise view.fail("half_pixel_centers", "cannot go with align_corners")
    view.expect_shape(output, (input_.shape[0], height, width, input_.shape[3]))
    return input_, output
