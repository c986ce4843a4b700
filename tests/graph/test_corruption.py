"""Two thousand damaged copies of a real model: an error, or a model that computes what TFLM computes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.single_op import CORES_WITH_KERNELS, assert_equals_tflm
from support.tflm import TflmRefusalError
from support.tools import require_tool

from tinyml_sdk.codegen import generate_model
from tinyml_sdk.errors import TinymlError
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import plan_memory

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
COPIES = 2_000
COMPARED = 16

pytestmark = pytest.mark.slow


def damaged_copies():
    """A third cut short, the others with some bytes replaced."""
    data = DIGITS.read_bytes()
    chance = random.Random(1)
    for number in range(COPIES):
        if number % 3 == 0:
            yield data[: chance.randrange(len(data))]
        else:
            copy = bytearray(data)
            for _ in range(chance.choice((1, 2, 8, 32))):
                copy[chance.randrange(len(copy))] = chance.randrange(256)
            yield bytes(copy)


def accepted_copies() -> list[bytes]:
    accepted = []
    for copy in damaged_copies():
        try:
            graph = parse_graph(copy, "damaged.tflite")
            layers = lower_graph(graph)
            source = generate_model(graph, layers, plan_memory(graph, layers))
        except TinymlError as error:
            assert error.hint
            assert error.exit_code == 2
            assert "damaged.tflite" in str(error)
        else:
            assert "damaged.c" in source.files
            accepted.append(copy)
    return accepted


def test_damaged_copies_are_refused_or_right():
    require_tool("tflite_micro")
    accepted = accepted_copies()
    assert 100 < len(accepted) < COPIES
    compared = 0
    for copy in accepted[:: len(accepted) // COMPARED]:
        try:
            assert_equals_tflm(copy, cores=CORES_WITH_KERNELS[-1:])  # a damaged file, not damaged kernels
        except TflmRefusalError:
            continue  # TFLM is stricter or dies; we have no answer to compare with
        compared += 1
    assert compared > COMPARED // 2
