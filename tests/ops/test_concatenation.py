"""CONCATENATION against TFLM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.strategies import quantizations, seeds, shapes
from support.tflite_model import ModelBuilder
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

Quantization = tuple[float, int]


def concatenation_model(
    shape: Sequence[int],
    axis: int,
    sizes: Sequence[int],
    constants: Sequence[int] = (),
    quantization: Quantization = (0.05, -7),
    *,
    input_quantization: Quantization | None = None,
    seed: int = 0,
    **changes: Any,
) -> bytes:
    """Inputs of `shape`, but `sizes` along the axis; those in `constants` are constant."""
    rng = np.random.default_rng(seed)
    builder = ModelBuilder()

    def resized(size: int) -> list[int]:
        return [size if place == axis % len(shape) else other for place, other in enumerate(shape)]

    inputs = []
    for place, size in enumerate(sizes):
        scale = (input_quantization or quantization) if place == 1 else quantization
        if place in constants:
            inputs.append(builder.constant(rng.integers(-128, 128, resized(size)).astype(np.int8), *scale))
        else:
            inputs.append(builder.input(resized(size), *scale))
    y = builder.output(changes.pop("output_shape", resized(sum(sizes))), *quantization)
    builder.op("CONCATENATION", inputs, [y], **{"axis": axis, **changes})
    return builder.build()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(shapes(max_rank=5, max_size=5, min_rank=1))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=10))
    constants = draw(st.sets(st.integers(1, 9), max_size=3))
    return {
        "shape": shape,
        "axis": draw(st.integers(-len(shape), len(shape) - 1)),
        "sizes": sizes,
        "constants": sorted(constants),
        "quantization": draw(quantizations()),
        "seed": draw(seeds()),
    }


@needs_tflm
@pytest.mark.slow
@settings(max_examples=20)
@given(case=cases())
def test_anything(case: dict[str, Any]) -> None:
    assert_equals_tflm(concatenation_model(**case), seed=case["seed"])


@needs_tflm
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
def test_axes(axis: int) -> None:
    assert_equals_tflm(concatenation_model((2, 3, 4, 5), axis, (3, 1, 6), constants=(2,)))


@needs_tflm
def test_the_same_tensor_twice() -> None:
    builder = ModelBuilder()
    x, other = builder.input((3, 2), 0.1), builder.input((3, 4), 0.1)
    builder.op("CONCATENATION", [x, other, x], [builder.output((3, 8), 0.1)], axis=1)
    assert_equals_tflm(builder.build())


@needs_tflm
def test_a_chain_is_planned_over_itself() -> None:
    """Each result is an input of the next, as in a densely connected block."""
    builder = ModelBuilder()
    x, more = builder.input((1, 4, 4, 3), 0.1), builder.input((1, 4, 4, 2), 0.1)
    first = builder.tensor((1, 4, 4, 5), 0.1)
    builder.op("CONCATENATION", [x, more], [first], axis=3)
    builder.op("CONCATENATION", [more, first], [builder.output((1, 4, 4, 7), 0.1)], axis=-1)
    assert_equals_tflm(builder.build())


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_the_distance_asked_for_is_needed(place: int) -> None:
    assert breaks_one_byte_closer(concatenation_model((3, 4), 1, (5, 7)), place)
    assert breaks_one_byte_closer(concatenation_model((3, 4), 0, (5, 7)), place)


def test_inputs_in_their_places_need_no_copy() -> None:
    assert lower(concatenation_model((1, 4), 1, (5, 7, 2)))[0].lead == (0, 5, 12)


@needs_tflm
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (concatenation_model((1, 4), 1, [1] * 11), "inputs: has 11 inputs, not 1 to 10"),
        (concatenation_model((1, 4), 1, (4, 4), input_quantization=(0.06, -7)), "input 1: quantization"),
        (concatenation_model((1, 4), 1, (4, 4), input_quantization=(0.05, -8)), "input 1: quantization"),
        (concatenation_model((1, 4), 1, (4, 4), fused_activation_function="RELU"), "fused_activation_function: RELU"),
    ],
)
def test_what_tflm_refuses_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[]])
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(CONCATENATION\): {message}"):
        lower(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (concatenation_model((2, 4), 1, (4, 4), version=6), "version: is 6"),
        (concatenation_model((2, 4), 2, (4, 4), output_shape=(2, 8)), "axis: is 2"),
        (concatenation_model((2, 4), -3, (4, 4), output_shape=(2, 8)), "axis: is -3"),
        (concatenation_model((2, 4), 1, (4, 4), output_shape=(2, 9)), "output 0: shape"),
        (concatenation_model((2, 4), 1, (4, 4), output_shape=(3, 8)), "input 0: shape"),
        (concatenation_model((2, 4), 1, (4, 4), output_shape=(2, 8, 1)), "input 0: shape"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(CONCATENATION\): {message}"):
        lower(model)


def test_a_constant_with_a_scale_for_each_channel_is_refused() -> None:
    builder = ModelBuilder()
    x = builder.input((1, 2), 0.1)
    constant = builder.constant(np.ones((1, 2), np.int8), (0.1, 0.1), axis=1)
    builder.op("CONCATENATION", [x, constant], [builder.output((1, 4), 0.1)], axis=1)
    with pytest.raises(ModelError, match="input 1: quantization"):
        lower(builder.build())
