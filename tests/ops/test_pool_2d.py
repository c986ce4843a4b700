"""AVERAGE_POOL_2D and MAX_POOL_2D against TFLM."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.strategies import ACTIVATIONS, quantizations, seeds
from support.tflite_model import ModelBuilder
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.errors import ModelError

POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")


def pool_model(
    pool: str,
    shape: tuple[int, int, int, int] = (1, 6, 7, 5),
    filter_size: tuple[int, int] = (2, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    quantization: tuple[float, int] = (0.05, -7),
    output_quantization: tuple[float, int] | None = None,
    **changes: Any,
) -> bytes:
    batches, height, width, depth = shape
    sizes = [
        -(-size // step) if padding == "SAME" else max(1, -(-(size - taps + 1) // step))
        for size, taps, step in zip((height, width), filter_size, stride, strict=True)
    ]
    builder = ModelBuilder()
    x = builder.input(shape, *quantization)
    output_shape = changes.pop("output_shape", (batches, *sizes, depth))
    y = builder.output(output_shape, *(output_quantization or quantization))
    options = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "filter_height": filter_size[0],
        "filter_width": filter_size[1],
        "fused_activation_function": activation,
    }
    builder.op(pool, [x], [y], **{**options, **changes})
    return builder.build()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    taps = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    height, width = (draw(st.integers(size if padding == "VALID" else 1, size + 6)) for size in taps)
    return {
        "shape": (draw(st.integers(1, 2)), height, width, draw(st.integers(1, 9))),
        "filter_size": taps,
        "stride": draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        "padding": padding,
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "quantization": draw(quantizations()),
    }


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
@settings(max_examples=25)
@given(case=cases(), seed=seeds())
def test_anything(pool: str, case: dict[str, Any], seed: int) -> None:
    assert_equals_tflm(pool_model(pool, **case), seed=seed)


@needs_tflm
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 25, 5, 64), "filter_size": (25, 5), "padding": "VALID"},  # keyword spotting
        {"shape": (1, 16, 16, 4), "filter_size": (16, 16)},  # the largest that an average multiplies
        {"shape": (1, 17, 16, 4), "filter_size": (17, 16), "padding": "VALID"},  # the least that it divides
        {"shape": (1, 17, 40, 2), "filter_size": (17, 33)},
        {"shape": (1, 2, 2, 3), "filter_size": (9, 9)},  # a window larger than the input
        {"shape": (1, 9, 9, 3), "filter_size": (1, 1), "stride": (4, 3)},
    ],
)
def test_corners(pool: str, case: dict[str, Any]) -> None:
    assert_equals_tflm(pool_model(pool, **case))


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12, 25, 49, 64, 125, 255, 256, 257, 300])
def test_every_tie_of_an_average(count: int) -> None:
    """Sums around every half, of both signs: the window's first elements carry them, the others are 0."""
    halves = [whole * count + count // 2 + off for whole in range(3) for off in (-1, 0, 1, 2)]
    ends = [127 * count, 128 * count, 126 * count + count // 2, 127 * count + count // 2]
    wanted = np.clip([sign * total for total in halves + ends for sign in (1, -1)], -128 * count, 127 * count)
    values = np.zeros((1, 1, count, len(wanted)), np.int8)
    rest = wanted.copy()
    for position in range(count):
        values[0, 0, position] = np.clip(rest, -128, 127)
        rest -= values[0, 0, position]
    assert not rest.any()
    model = pool_model("AVERAGE_POOL_2D", values.shape, (1, count), padding="VALID")
    assert_equals_tflm(model, [[values]])


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_scales_that_differ_by_less_than_the_tolerance_pass_values_on(pool: str) -> None:
    assert_equals_tflm(pool_model(pool, quantization=(5e-7, 3), output_quantization=(1e-6, 3)))


@needs_tflm
@pytest.mark.parametrize("output_quantization", [(0.0500011, -7), (0.05, -6)])
def test_other_quantizations_are_refused_as_by_tflm(output_quantization: tuple[float, int]) -> None:
    model = pool_model("MAX_POOL_2D", output_quantization=output_quantization)
    with pytest.raises(TflmRefusalError):
        run_tflm(model, [[np.zeros((1, 6, 7, 5), np.int8)]])
    with pytest.raises(ModelError, match=r"op 0 \(MAX_POOL_2D\): output 0: quantization"):
        lower(model)


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_the_distance_asked_for_is_needed(pool: str) -> None:
    assert breaks_one_byte_closer(pool_model(pool, (1, 6, 7, 1), (3, 3)))
    assert breaks_one_byte_closer(pool_model(pool, (1, 6, 7, 5), (3, 3)))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 4}, "version: is 4"),
        ({"filter_height": 0}, "filter_height: is 0"),
        ({"filter_width": -3}, "filter_width: is -3"),
        ({"stride_w": 0}, "stride_w: is 0"),
        ({"output_shape": (1, 6, 7, 4)}, "output 0: shape"),
        ({"filter_size": (7, 1), "padding": "VALID"}, "height: the filter reaches over 7"),
        ({"activation": "SIGN_BIT"}, "fused_activation_function: SIGN_BIT"),
    ],
)
def test_what_cannot_be_is_refused(pool: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=rf"op 0 \({pool}\): {message}"):
        lower(pool_model(pool, **changes))
