"""Small pictures of image inputs in the terminal, each with what the model made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text

__all__ = ["Picture", "Pictures", "looks_like_images"]

Unit = npt.NDArray[np.float64]  # (height, width, 1 or 3), from 0 to 1

_WIDEST = 32  # columns; larger pictures are averaged down
_NARROWEST = 16  # smaller ones are enlarged by whole factors
_SHADES = " ░▒▓█"
_ASCII_SHADES = " .:-=+*#%@"


@dataclass(frozen=True, eq=False)
class Picture:
    """One image and the classes to name below it.

    Attributes:
        pixels: (height, width) or (height, width, 1 or 3), any number type. A float image within 0 … 1 and an integer
            image are shown on their type's own scale, others from their least to their greatest value.
        predicted: The class the model chose.
        expected: The right class, when it is known.
    """

    pixels: npt.NDArray[Any]
    predicted: str
    expected: str | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))) or 0 in shape:
            raise ValueError(f"not an image: shape {shape}")


class Pictures:
    """A rich renderable: pictures side by side, in as many rows as the console needs.

    Two pixels share a character where the console has enough colours; elsewhere shades of block characters
    stand for grey, or ASCII where there is no Unicode.
    """

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self.pictures = tuple(pictures)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        colours = console.color_system in ("256", "truecolor") and not console.no_color
        ascii_only = options.ascii_only
        cells = [_cell(picture, colours=colours and not ascii_only, ascii_only=ascii_only) for picture in self.pictures]
        yield Columns(cells, padding=(1, 3))


def looks_like_images(shape: Sequence[int]) -> bool:
    """Whether a tensor of this shape may be worth a picture: one grey or RGB image, not too small, long or large."""
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3 or shape[2] not in (1, 3):
        return False
    short, long = sorted(shape[:2])
    return short >= 6 and long <= 256 and long <= 2 * short


def _cell(picture: Picture, *, colours: bool, ascii_only: bool) -> Text:
    """The image over its caption. The caption never wraps, so that rows line up."""
    image = _sized(_to_unit(picture.pixels))
    text = Text(no_wrap=True)
    if colours:
        _draw_half_blocks(text, image)
    else:
        _draw_shades(text, image, _ASCII_SHADES if ascii_only else _SHADES)
    caption = _caption(picture, ascii_only=ascii_only)
    caption.align("center", max(image.shape[1], caption.cell_len))
    return text.append_text(caption)


def _to_unit(pixels: npt.NDArray[Any]) -> Unit:
    values = np.nan_to_num(pixels.astype(np.float64))
    if np.issubdtype(pixels.dtype, np.integer) and pixels.dtype.itemsize == 1:
        limits = np.iinfo(pixels.dtype)
        low, high = float(limits.min), float(limits.max)
    elif values.min() >= 0 and values.max() <= 1:
        low, high = 0.0, 1.0
    else:
        low, high = float(values.min()), float(values.max())
    values = (values - low) / ((high - low) or 1.0)
    return values if values.ndim == 3 else values[..., np.newaxis]


def _sized(image: Unit) -> Unit:
    """Scaled by a whole factor to a width between the two limits; what does not fill a block at the edge is cut."""
    height, width, channels = image.shape
    if width > _WIDEST:
        block = min(-(-width // _WIDEST), height)
        blocks = image[: height // block * block, : width // block * block]
        smaller: Unit = blocks.reshape(height // block, block, width // block, block, channels).mean(axis=(1, 3))
        return smaller
    factor = max(1, _NARROWEST // width)
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _draw_half_blocks(text: Text, image: Unit) -> None:
    """The upper of two rows is a character's foreground, the lower its background. RGB comes in full colour."""
    levels = np.rint(np.broadcast_to(image, (*image.shape[:2], 3)) * 255).astype(int)
    for upper in range(0, len(levels), 2):
        for column in range(levels.shape[1]):
            below = levels[upper + 1, column] if upper + 1 < len(levels) else None
            style = Style(color=_colour(levels[upper, column]), bgcolor=None if below is None else _colour(below))
            text.append("▀", style)
        text.append("\n")


def _colour(level: npt.NDArray[np.int_]) -> Color:
    red, green, blue = (int(value) for value in level)
    return Color.from_rgb(red, green, blue)


def _draw_shades(text: Text, image: Unit, shades: str) -> None:
    """One character a pixel, of every other row, as characters are about twice as high as wide."""
    grey = image.mean(axis=2)
    rows = grey[: len(grey) // 2 * 2].reshape(-1, 2, grey.shape[1]).mean(axis=1) if len(grey) > 1 else grey
    for row in np.rint(rows * (len(shades) - 1)).astype(int):
        text.append("".join(shades[level] for level in row) + "\n")


def _caption(picture: Picture, *, ascii_only: bool) -> Text:
    if picture.expected is None:
        return Text(picture.predicted)
    if picture.predicted == picture.expected:
        return Text(f"{picture.predicted} {'ok' if ascii_only else '✓'}", style="green")
    return Text(f"{picture.predicted} {'wrong' if ascii_only else '✗'} ({picture.expected})", style="bold red")
