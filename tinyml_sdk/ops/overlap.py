"""How far an output may lie over its input: the `lead` of each kind of kernel, derived from its loop order.

A kernel that writes its output forwards while it reads its input forwards can share memory with it, as long as no
byte is written before its last reading. With the input starting `lead` bytes above the output, the write position of
every step stays at or below the lowest input byte that this or a later step reads. (The idea is known as diagonal
memory optimisation: Blacker et al., 2020, arXiv:2010.01668.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .window import Window

__all__ = ["IN_PLACE", "gathered_lead", "gathered_window_lead", "window_lead"]

IN_PLACE = 0
"""Element i of the output is written after element i of the input is read for the last time."""


def window_lead(window: Window, *, input_channels: int, output_channels: int, channelwise: bool) -> int:
    """The lead of a kernel that loops over output pixels, then over channels. Bytes, for int8 NHWC.

    At every step all that is written so far must end at or below the first byte that the step reads. Both grow as a
    sum of a row's, a column's and a batch's part, so that their difference is largest where each part's is.

    Args:
        window: The geometry.
        input_channels: Channels of the input.
        output_channels: Channels of the output.
        channelwise: An output channel reads only its own input channel, and channels are visited in order (depthwise,
            pooling). Otherwise every channel of a pixel reads the whole window.

    Returns:
        The smallest safe distance from the output's start to the input's start, at least 0.
    """
    input_row, output_row = window.input_width * input_channels, window.output_width * output_channels
    rows = max(row * output_row - window.first_row(row) * input_row for row in range(window.output_height))
    columns = max(
        column * output_channels - window.first_column(column) * input_channels for column in range(window.output_width)
    )
    batch_growth = window.output_height * output_row - window.input_height * input_row
    batches = max(0, (window.batches - 1) * batch_growth)
    # While the pixel's last channel is computed, all its other channels are written.
    channels = output_channels - (input_channels if channelwise else 1)
    return max(0, batches + rows + columns + channels)


def gathered_lead(first_read: npt.NDArray[np.int64], first_written: npt.NDArray[np.int64], tile: int = 2) -> int:
    """The lead of a kernel that gathers all that a tile of output pixels reads before it writes them.

    Args:
        first_read: (batches, pixels of a batch): the lowest input byte that each output pixel reads.
        first_written: The same shape: its first output byte.
        tile: How many pixels are computed together; the last of a batch may be fewer.
    """
    still_read = np.minimum.accumulate(first_read.reshape(-1)[::-1])[::-1].reshape(first_read.shape)
    return max(0, int((first_written - still_read)[:, ::tile].max()))


def gathered_window_lead(window: Window, *, input_channels: int, output_channels: int, tile: int = 2) -> int:
    """`gathered_lead` of a window over int8 NHWC, whose pixels are taken a tile at a time, batch by batch."""
    rows = np.array([window.first_row(row) for row in range(window.output_height)])
    columns = np.array([window.first_column(column) for column in range(window.output_width)])
    pixels = (rows[:, None] * window.input_width + columns).reshape(-1)
    batches = np.arange(window.batches)[:, None]
    input_pixels = window.input_height * window.input_width
    output_pixels = len(pixels)
    return gathered_lead(
        (batches * input_pixels + pixels) * input_channels,
        (batches * output_pixels + np.arange(output_pixels)) * output_channels,
        tile,
    )
