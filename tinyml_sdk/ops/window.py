"""Geometry that convolutions and poolings share: a window that slides over height and width."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph import Tensor
from .base import OpView, ParameterValue

__all__ = ["EXPLICIT", "Window", "sliding_window"]

EXPLICIT = "EXPLICIT"
"""The padding of a filter that has taken in a PAD, beside the file's SAME and VALID; its options have the sides."""


@dataclass(frozen=True)
class Window:
    """A filter of (height, width) over NHWC input; sizes in elements, paddings above and left."""

    batches: int
    input_height: int
    input_width: int
    output_height: int
    output_width: int
    filter_height: int
    filter_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    padding_top: int
    padding_left: int

    @property
    def parameters(self) -> dict[str, ParameterValue]:
        """The fields of the C struct `tinyml_window`."""
        return dict(vars(self))

    @property
    def reach_height(self) -> int:
        """Input rows from the first to the last that a window covers."""
        return (self.filter_height - 1) * self.dilation_height + 1

    @property
    def reach_width(self) -> int:
        """Input columns from the first to the last that a window covers."""
        return (self.filter_width - 1) * self.dilation_width + 1

    @property
    def run_taps(self) -> int:
        """Taps that lie one after the other in memory: a row of the filter unless dilated."""
        return self.filter_width if self.dilation_width == 1 else 1

    def runs_parameters(self, input_channels: int, zero_point: int) -> dict[str, ParameterValue]:
        """The fields of the C struct `tinyml_runs`."""
        return {
            "window": self.parameters,
            "input_channels": input_channels,
            "input_zero_point": zero_point,
            "run_taps": self.run_taps,
        }

    @property
    def is_pointwise(self) -> bool:
        """Whether each output pixel reads just the input pixel of the same position."""
        return (self.filter_height, self.filter_width, self.stride_height, self.stride_width) == (1, 1, 1, 1)

    @property
    def is_small_square(self) -> bool:
        """Whether it is 3x3 of stride 1 or 2, undilated: what the depthwise kernels of their own are for."""
        return (
            (self.filter_height, self.filter_width) == (3, 3)
            and (self.stride_height, self.stride_width) in ((1, 1), (2, 2))
            and (self.dilation_height, self.dilation_width) == (1, 1)
        )

    @property
    def stays_inside(self) -> bool:
        """Whether no window reaches into the padding."""
        bottom = (self.output_height - 1) * self.stride_height + (self.filter_height - 1) * self.dilation_height
        right = (self.output_width - 1) * self.stride_width + (self.filter_width - 1) * self.dilation_width
        reaches_above = self.padding_top > 0 or self.padding_left > 0
        return not reaches_above and bottom < self.input_height and right < self.input_width

    @property
    def inside_pairs(self) -> float:
        """The share of pairs of neighbouring windows, two by two along a row, of which both lie in the input."""
        rows = _inside(self.output_height, self.stride_height, self.padding_top, self.input_height - self.reach_height)
        columns = _inside(self.output_width, self.stride_width, self.padding_left, self.input_width - self.reach_width)
        pairs = max(0, columns.stop // 2 - -(-columns.start // 2))
        return len(rows) * pairs / (self.output_height * -(-self.output_width // 2))

    def first_row(self, output_row: int) -> int:
        """The first input row that the output row reads, within the input."""
        return _first_tap(output_row * self.stride_height - self.padding_top, self.dilation_height)

    def first_column(self, output_column: int) -> int:
        """The first input column that the output column reads, within the input."""
        return _first_tap(output_column * self.stride_width - self.padding_left, self.dilation_width)


def _inside(outputs: int, stride: int, padding: int, last: int) -> range:
    """The outputs, along one axis, whose windows begin at 0 to `last`."""
    return range(-(-padding // stride), max(0, min(outputs, (last + padding) // stride + 1)))


def _first_tap(start: int, dilation: int) -> int:
    # The least start + k x dilation that is not negative.
    return start if start >= 0 else start % dilation


def _along(view: OpView, axis: str, *, size: int, filter_size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Output size and padding before, as `ComputeOutSize` and `ComputePadding` (tensorflow/lite/kernels/padding.h)."""
    padding = view.op.options["padding"]
    before, after = _explicit_sides(view, axis) if padding == EXPLICIT else (0, 0)
    padded = before + size + after
    reach = (filter_size - 1) * dilation + 1
    output = -(-size // stride) if padding == "SAME" else -(-(padded - reach + 1) // stride)
    if output < 1:
        raise view.fail(axis, f"the filter reaches over {reach} elements, but the input has {padded}")
    return output, before if padding == EXPLICIT else max(0, (output - 1) * stride + reach - size) // 2


def _explicit_sides(view: OpView, axis: str) -> tuple[int, int]:
    before, after = ("padding_top", "padding_bottom") if axis == "height" else ("padding_left", "padding_right")
    return view.integer(before, 0, 2**31 - 1), view.integer(after, 0, 2**31 - 1)


def sliding_window(view: OpView, input_: Tensor, filter_height: int, filter_width: int, *, dilated: bool) -> Window:
    """The window of a convolution or pooling from the op's options. Raises ModelError for impossible ones."""
    limit = 32_767
    stride_height, stride_width = (view.integer(name, 1, limit) for name in ("stride_h", "stride_w"))
    dilation_height = view.integer("dilation_h_factor", 1, limit) if dilated else 1
    dilation_width = view.integer("dilation_w_factor", 1, limit) if dilated else 1
    batches, height, width, _ = input_.shape
    output_height, top = _along(
        view, "height", size=height, filter_size=filter_height, stride=stride_height, dilation=dilation_height
    )
    output_width, left = _along(
        view, "width", size=width, filter_size=filter_width, stride=stride_width, dilation=dilation_width
    )
    for axis, sizes in (("height", (filter_height, top)), ("width", (filter_width, left))):
        if max(sizes) > limit:
            raise view.fail(axis, f"a filter of {sizes[0]} elements with {sizes[1]} of padding is over {limit:,}")
    return Window(
        batches=batches,
        input_height=height,
        input_width=width,
        output_height=output_height,
        output_width=output_width,
        filter_height=filter_height,
        filter_width=filter_width,
        stride_height=stride_height,
        stride_width=stride_width,
        dilation_height=dilation_height,
        dilation_width=dilation_width,
        padding_top=top,
        padding_left=left,
    )
