"""Weights in less than a byte each: what is written can be read back, and what each form takes."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sparse import sparse_weights
from support.strategies import seeds

from tinyml_sdk.ops.sparse.lists import FORMS, Form, WeightLists, weight_lists


def read_back(lists: WeightLists, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """As the C does it."""
    data = lists.values.tobytes()
    codebooks, at = [data[16 * i : 16 * i + 16] for i in range(lists.codebooks)], 16 * lists.codebooks
    weights = np.zeros(shape, np.int64)
    for channel, row in enumerate(weights):
        codebook = codebooks[min(channel, len(codebooks) - 1)] if codebooks else b""
        steps, at, position = int.from_bytes(data[at : at + 2], "little"), at + 2, 0
        for _ in range(steps):
            head, at = data[at], at + 1
            if lists.form == "gaps":
                for gap, weight in zip((head & 15, head >> 4), data[at : at + 2], strict=True):
                    position += gap
                    row[position] += np.int8(np.uint8(weight))
                at += 2
            elif lists.form == "coded_gaps":
                position += head >> 4
                row[position] += np.int8(np.uint8(codebook[head & 15]))
            elif lists.form == "blocks":
                position += head
                row[position : position + 4] += np.frombuffer(data[at : at + 4], np.int8)
                at += 4
            else:
                row[position : position + 2] += np.int8(np.uint8([codebook[head & 15], codebook[head >> 4]]))
                position += 2
    assert at == len(data)
    return weights


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 700)),
    zeros=st.sampled_from([0.0, 0.3, 0.8, 0.99, 1.0]),
    values=st.sampled_from([0, 2, 15, 16]),
    pattern=st.sampled_from(["", "1x4", "2:4"]),
    seed=seeds(),
)
def test_what_is_written_can_be_read(
    shape: tuple[int, int], zeros: float, values: int, pattern: str, seed: int
) -> None:
    weights = sparse_weights(np.random.default_rng(seed), shape, zeros=zeros, values=values, pattern=pattern)
    written = {form: weight_lists(weights.astype(np.int64), form) for form in FORMS}
    assert written["gaps"] is not None
    for lists in filter(None, written.values()):
        np.testing.assert_array_equal(read_back(lists, shape), weights)
        assert lists.listed >= np.count_nonzero(weights)


@pytest.mark.parametrize(
    ("form", "weights", "steps"),
    [
        ("gaps", [0, 3, 0, 0, -1], [[0x31, 3, 255]]),
        ("gaps", [7], [[0, 7, 0]]),  # a second one of no weight
        ("gaps", [1, *[0] * 40, 2], [[0xF0, 1, 0], [0xBF, 0, 2]]),  # 41 = 15 + 15 + 11
        ("blocks", [0, 0, 1, 2, 0, 3, 0, 9], [[2, 1, 2, 0, 3], [2, 0, 0, 0, 9]]),  # the last one must not overrun
        ("blocks", [*[0] * 300, 1, 1, 1, 1], [[255, 0, 0, 0, 0], [45, 1, 1, 1, 1]]),
        ("coded_gaps", [0, 5, 5, -2], [[0x12], [0x12], [0x10]]),
        ("codes", [5, 5, -2, 0], [[0x22], [0x10]]),
    ],
)
def test_steps(form: Form, weights: list[int], steps: list[list[int]]) -> None:
    lists = weight_lists(np.array([weights]), form)
    assert lists is not None
    assert lists.values[16 * lists.codebooks :].tolist() == [len(steps), 0, *(byte for step in steps for byte in step)]


def test_codebooks_of_the_layer_or_of_each_channel() -> None:
    """int8 with a scale for each channel stretches one codebook of the layer by as many factors."""
    few = np.arange(16)[None, :] * np.array([[1], [1], [1]])
    stretched = np.arange(16)[None, :] * np.array([[1], [3], [5]])
    of_layer, of_channels = weight_lists(few, "codes"), weight_lists(stretched, "codes")
    assert (of_layer and of_layer.codebooks, of_channels and of_channels.codebooks) == (1, 3)
    assert weight_lists(np.arange(17)[None], "codes") is None


def test_forms_without_room() -> None:
    assert weight_lists(np.ones((2, 3), np.int64), "blocks") is None
    assert weight_lists(np.ones((2, 9), np.int64), "codes") is None  # they come in pairs
    sixteen = np.concatenate([np.arange(1, 17), np.zeros(0, np.int64)])[None]
    assert weight_lists(sixteen, "coded_gaps") is not None
