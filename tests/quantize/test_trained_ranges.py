"""Ranges from quantization-aware training: to which tensors they go, and proof that they became scales."""

from __future__ import annotations

import numpy as np
import pytest

from tinyml_sdk.errors import InputError, ToolError
from tinyml_sdk.graph import DType, Graph, Op, Quantization, Tensor
from tinyml_sdk.quantize.checking import LayerNames, check_trained_ranges
from tinyml_sdk.quantize.job import Granularity, Job
from tinyml_sdk.quantize.trained import TrainedRange, assign_ranges, check_as_trained

RISING = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
NOTHING = np.zeros((2, 2, 3), np.float32)


def place(layer: str, maker: str, values: np.ndarray = RISING) -> TrainedRange:
    return TrainedRange(layer, maker, -1.0, 2.0, values)


def assigned(trained: list[TrainedRange], **tensors: np.ndarray) -> dict[str, list[str]]:
    names = LayerNames({"m/a": "a", "m/b": "b"})
    return assign_ranges(trained, {key.replace("__", "/"): value for key, value in tensors.items()}, names, "m.keras")


def test_values_tell_the_tensor_whatever_its_name_and_shape() -> None:
    found = assigned([place("r", "a")], Identity=RISING.reshape(2, 1, 6), other=RISING + 1)
    assert found == {"r": ["Identity"]}


def test_copies_take_the_range_too_and_sums_may_differ_in_their_last_bits() -> None:
    found = assigned([place("r", "a")], m__a__add=RISING * (1 + 1e-5), m__b__Reshape=RISING.reshape(2, 6))
    assert found == {"r": ["m/a/add", "m/b/Reshape"]}


def test_equal_values_of_two_layers_are_told_apart_by_name() -> None:
    """A dead layer gives nothing but zeros, and so does the one behind it."""
    trained = [place("first", "a", NOTHING), place("second", "b", NOTHING)]
    assert assigned(trained, m__b__Relu=NOTHING, m__a__Relu=NOTHING) == {"first": ["m/a/Relu"], "second": ["m/b/Relu"]}


def test_places_of_one_range() -> None:
    trained = [place("r", "a"), place("r", "b", RISING + 1)]
    assert assigned(trained, m__a=RISING, m__b=RISING + 1) == {"r": ["m/a", "m/b"]}


def test_a_range_without_a_tensor_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"m\.keras: layer 'r': the range that training found got lost"):
        assigned([place("r", "a")], m__a=RISING + 1)


def graph(scale: float, zero_point: int, name: str = "t") -> Graph:
    tensors = tuple(
        Tensor(index, key, (1, 4), DType.INT8, Quantization((step,), (zero,)))
        for index, (key, step, zero) in enumerate((("x", 1.0, 0), (name, scale, zero_point)))
    )
    return Graph("g", "g.tflite", "", 0, tensors, (Op(0, "RELU", 1, (0,), (1,)),), (0,), (1,))


ENDS = {"t": (-1.0, 2.0), "gone": (0.0, 9.0)}


def test_ranges_that_became_scales() -> None:
    assert check_trained_ranges(graph(3 / 255, -43), {"r": ["t", "gone"]}, ENDS) == 1


@pytest.mark.parametrize(("scale", "zero_point"), [(3.001 / 255, -43), (3 / 255, -42)])
def test_another_scale_is_an_error(scale: float, zero_point: int) -> None:
    with pytest.raises(ToolError, match=r"layer 'r': .* got lost: the converter made it .*, not \(0\.0117647, -43\)"):
        check_trained_ranges(graph(scale, zero_point), {"r": ["t"]}, ENDS)


def test_a_tensor_that_is_gone_is_an_error() -> None:
    with pytest.raises(ToolError, match="left none of its tensors") as caught:
        check_trained_ranges(graph(3 / 255, -43), {"r": ["gone"]}, ENDS)
    assert caught.value.hint


def test_an_empty_range_has_no_scale_to_keep() -> None:
    assert check_trained_ranges(graph(7.8e-9, 0), {"r": ["t"]}, {"t": (0.0, 0.0)}) == 1


@pytest.mark.parametrize(
    ("trained", "asked", "hint"),
    [
        ("per-tensor", "per-channel", "give --per-tensor"),
        ("per-tensor-dense", "per-tensor", "give --per-tensor-dense"),
        ("per-channel", "per-tensor", "neither --per-tensor nor"),
    ],
)
def test_weights_are_quantized_as_they_were_trained(trained: Granularity, asked: Granularity, hint: str) -> None:
    check_as_trained(trained, (), Job("m", "m", trained))
    check_as_trained(None, None, Job("m", "m", asked, activations="int16"))
    with pytest.raises(InputError, match=f"was trained for {trained} weights, not {asked}") as caught:
        check_as_trained(trained, (), Job("m", "m", asked))
    assert hint in caught.value.hint
    with pytest.raises(InputError, match="for int8 activations, not int16"):
        check_as_trained(trained, (), Job("m", "m", trained, activations="int16"))
