"""Pictures in the terminal: with colour, without, without Unicode, of every shape of image."""

import io
from typing import Literal

import numpy as np
import pytest
from rich.console import Console

from tinyml_sdk.report.pictures import Picture, Pictures, looks_like_images

STROKE = np.zeros((8, 8, 1), np.float32)
STROKE[:, 3:5] = 1  # a vertical stroke, two pixels wide


class _Terminal(io.StringIO):
    """A file with an encoding, which is what rich looks at."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def shown(
    *pictures: Picture,
    width: int = 80,
    encoding: str = "utf-8",
    colours: Literal["standard", "256", "truecolor"] | None = None,
) -> str:
    terminal = _Terminal(encoding)
    Console(file=terminal, width=width, color_system=colours, force_terminal=colours is not None).print(
        Pictures(pictures)
    )
    return terminal.getvalue()


def test_shades_draw_the_image_twice_as_wide_as_high() -> None:
    lines = [line.rstrip() for line in shown(Picture(STROKE, "1")).splitlines()]
    assert lines[:8] == ["      ████"] * 8
    assert lines[8].strip() == "1"


def test_ascii_where_there_is_no_unicode() -> None:
    text = shown(Picture(STROKE, "1", "1"), Picture(STROKE, "4", "1"), encoding="ascii")
    assert text.isascii()
    assert "      @@@@" in text
    assert "1 ok" in text
    assert "4 wrong (1)" in text


@pytest.mark.parametrize(
    ("expected", "caption"), [(None, "7"), ("7", "7 ✓"), ("8", "7 ✗ (8)")], ids=["unknown", "right", "wrong"]
)
def test_captions(expected: str | None, caption: str) -> None:
    assert shown(Picture(STROKE, "7", expected)).splitlines()[8].strip() == caption


def test_colour_terminals_get_two_pixels_a_character() -> None:
    lines = shown(Picture(STROKE, "1", "1"), colours="truecolor").splitlines()
    assert [line.count("▀") for line in lines[:9]] == [16] * 8 + [0]
    assert "38;2;255;255;255" in lines[0]
    assert "48;2;0;0;0" in lines[0]


def test_sixteen_colours_are_too_few_for_grey() -> None:
    assert "▀" not in shown(Picture(STROKE, "1"), colours="standard")


def test_rgb_keeps_its_colours() -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 255
    assert "38;2;255;0;0" in shown(Picture(red, "red"), colours="truecolor")


def test_an_odd_number_of_rows() -> None:
    lines = shown(Picture(np.ones((17, 16)), "x"), colours="truecolor").splitlines()
    assert [line.count("▀") for line in lines[:9]] == [16] * 9


def test_pictures_stand_side_by_side_and_wrap() -> None:
    pictures = [Picture(STROKE, name) for name in "abcde"]
    wide = shown(*pictures, width=120).splitlines()
    narrow = shown(*pictures, width=45).splitlines()
    assert [line.split() for line in wide if "a" in line] == [["a", "b", "c", "d", "e"]]
    assert [line.split() for line in narrow if line.strip().isascii() and line.strip()] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert all(len(line) <= 45 for line in narrow)


def test_large_images_are_averaged_down() -> None:
    board = np.indices((96, 96)).sum(axis=0) % 2  # a checkerboard averages to grey
    lines = shown(Picture(board, "x")).splitlines()
    assert set("".join(lines[:16])) <= {"▒", " "}
    assert max(len(line.rstrip()) for line in lines) == 32


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(-128, 127, np.int8), (0, 255, np.uint8), (0, 1, np.float32), (-3, 90, np.float64)]
)
def test_full_scale_depends_on_the_type(low: float, high: float, dtype: type) -> None:
    image = np.full((16, 16), low, dtype)
    image[:, 8:] = high
    assert shown(Picture(image, "x")).splitlines()[0].rstrip() == " " * 8 + "█" * 8


def test_constant_and_broken_values_draw_something() -> None:
    assert shown(Picture(np.full((8, 8), 7.0), "x"))
    assert shown(Picture(np.full((8, 8), np.nan), "x"))


@pytest.mark.parametrize("shape", [(8,), (8, 8, 2), (1, 8, 8, 1), (0, 8)])
def test_other_arrays_are_no_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not an image"):
        Picture(np.zeros(shape), "x")


@pytest.mark.parametrize(
    ("shape", "yes"),
    [
        ((1, 8, 8, 1), True),
        ((1, 96, 96, 3), True),
        ((32, 32, 3), True),
        ((1, 49, 10, 1), False),  # a spectrogram
        ((1, 640), False),
        ((1, 3, 40), False),
        ((2, 8, 8, 1), False),
        ((1, 8, 8, 16), False),
        ((1, 512, 512, 3), False),
    ],
)
def test_looks_like_images(shape: tuple[int, ...], yes: bool) -> None:
    assert looks_like_images(shape) is yes
