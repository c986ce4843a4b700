"""How long the application's frames are, by what the model is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tinyml_sdk.codegen.frames import frame_body_bytes
from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import Graph, read_graph

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"


@pytest.fixture(scope="module")
def digits() -> Graph:
    return read_graph(DIGITS)


@pytest.mark.parametrize(
    ("layers", "arena_bytes", "body"),
    [(8, 100, 84), (8, 10_000, 84), (20, 100, 84), (20, 1_000, 128), (20, 10_000, 160), (200, 10_000, 256)],
)
def test_frames_are_as_long_as_is_useful(digits: Graph, layers: int, arena_bytes: int, body: int) -> None:
    """Info needs 56 + 8 + 11 + 7 bytes, the image 64 + 5, each layer's ticks 8; an eighth of the arena is enough."""
    assert frame_body_bytes(digits, "mps2-an386", layers, arena_bytes) == body


def test_names_are_cut_where_the_application_cuts_them(digits: Graph) -> None:
    assert frame_body_bytes(digits, "b" * 40, 8, 0) == frame_body_bytes(digits, "b" * 400, 8, 0) == 112


def test_a_model_of_many_ends_has_longer_frames_up_to_a_limit(digits: Graph) -> None:
    many = dataclasses.replace(digits, inputs=digits.inputs * 100)
    assert frame_body_bytes(many, "b", 8, 0) == 472
    too_many = dataclasses.replace(digits, inputs=digits.inputs * 300)
    with pytest.raises(ModelError, match="301 inputs and outputs"):
        frame_body_bytes(too_many, "b", 8, 0)
