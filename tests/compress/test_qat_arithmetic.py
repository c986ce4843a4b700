"""Fake quantization against TensorFlow Lite's formulas, computed here with numpy in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tools import require_tool

Array = npt.NDArray[Any]

pytestmark = pytest.mark.slow


def reals(low: int, high: int) -> st.SearchStrategy[float]:
    """Hypothesis's own floats include subnormals, which TensorFlow has the processor flush to zero."""
    return st.integers(low * 10_000, high * 10_000).map(lambda number: float(np.float32(number / 10_000)))


VALUES = st.lists(reals(-50, 50), min_size=1, max_size=40)


@pytest.fixture(autouse=True)
def _keras() -> None:
    require_tool("tensorflow")


@settings(max_examples=200, deadline=None)
@given(VALUES, reals(-40, 0), reals(0, 40).filter(lambda high: high > 0.001))
def test_activations(values: list[float], low: float, high: float) -> None:
    """int8 = clip(round(x / scale) + zero point); scale = (high - low) / 255, zero point round(-128 - low / scale)."""
    from tinyml_sdk.quantize.fake_quantization import fake_quantize

    given_values = np.array(values, np.float32)
    simulated = np.asarray(fake_quantize(given_values, np.float32(low), np.float32(high)), np.float64)
    scale = (high - low) / 255
    zero_point = np.clip(np.rint(-128 - low / scale), -128, 127)
    stored = np.clip(np.rint(given_values.astype(np.float64) / scale) + zero_point, -128, 127)
    steps = simulated / scale + zero_point
    assert np.abs(steps - np.rint(steps)).max() < 1e-3
    # float32 may see a tie, of the value or of the zero point, on its other side.
    assert np.abs(steps - stored).max() <= 1 + 1e-3
    ties = np.abs(np.abs(given_values / scale - np.rint(given_values / scale)) - 0.5) < 1e-3
    if abs(abs(low / scale - np.rint(low / scale)) - 0.5) > 1e-3:
        assert np.allclose(steps[~ties], stored[~ties], atol=1e-3)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_weights(rows: int, channels: int, data: st.DataObject) -> None:
    """int8 = round(w / scale), with scale max|w| / 127 of the channel: all within ±127, zeros zero, and idempotent."""
    from tinyml_sdk.quantize.fake_quantization import fake_quantize_weights

    count = rows * channels
    flat = data.draw(st.lists(reals(-8, 8), min_size=count, max_size=count))
    weights = np.array(flat, np.float32).reshape(rows, channels)
    simulated = np.asarray(fake_quantize_weights(weights, (0,)))
    scale = np.abs(weights.astype(np.float64)).max(axis=0) / 127
    safe = np.where(scale > 0, scale, 1)
    stored = simulated / safe
    assert np.allclose(stored, np.rint(stored), atol=1e-4)
    assert np.abs(stored).max() <= 127 + 1e-4
    assert np.all(np.abs(stored - weights / safe) <= 0.5 + 1e-4)
    assert np.all(simulated[weights == 0] == 0)
    again = np.asarray(fake_quantize_weights(simulated, (0,)))
    assert np.array_equal(np.rint(again / safe), np.rint(stored))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_int4_weights(rows: int, channels: int, data: st.DataObject) -> None:
    """The integers that quantization finds in what training left are those of training, and again after rounding."""
    from tinyml_sdk.quantize.fake_quantization import fake_quantize_weights
    from tinyml_sdk.quantize.int4_weights import int4_weights

    count = rows * channels
    flat = data.draw(st.lists(reals(-8, 8), min_size=count, max_size=count))
    weights = np.array(flat, np.float32).reshape(rows, channels)
    simulated = np.asarray(fake_quantize_weights(weights, (0,), True))
    assert np.all(simulated[weights == 0] == 0)
    found = int4_weights(simulated, 1, bias=None, input_scale=1.0, dead=np.ones(channels))
    assert np.abs(simulated - found.real).max() <= 1e-5 * np.abs(simulated).max(initial=1e-6)
    again = np.asarray(fake_quantize_weights(simulated, (0,), True))
    assert np.allclose(again, simulated, rtol=1e-5, atol=0)
    coarse = np.abs(weights.astype(np.float64)).max(axis=0) / 7
    safe = np.where(coarse > 0, coarse, 1)
    error = np.sum((weights - simulated.astype(np.float64)) ** 2, axis=0)
    assert np.all(error <= np.sum((weights - np.rint(weights / safe) * safe) ** 2, axis=0) * 1.001 + 1e-9)


def test_gradients_pass_through_rounding_and_stop_where_values_are_clipped() -> None:
    import tensorflow as tf

    from tinyml_sdk.quantize.fake_quantization import fake_quantize, fake_quantize_weights

    values = tf.constant([-3.0, -0.5, 0.123, 0.9, 5.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        activations = fake_quantize(values, tf.constant(-1.0), tf.constant(1.0))
        weights = fake_quantize_weights(values, (0,))
    assert tape.gradient(activations, values).numpy().tolist() == [0, 1, 1, 1, 0]
    assert tape.gradient(weights, values).numpy().tolist() == [1] * 5


@given(st.lists(st.integers(-128, 127), min_size=4, max_size=4), st.integers(-128, 127))
@settings(max_examples=200, deadline=None)
def test_averages_are_rounded_as_tflm_does(stored: list[int], zero_point: int) -> None:
    """pooling.h: acc > 0 ? (acc + 2) / 4 : (acc - 2) / 4, in C, of the sum of four as they are stored."""
    from tinyml_sdk.quantize.fake_quantization import fake_quantize

    scale = np.float32(0.037)
    low, high = (-128 - zero_point) * scale, (127 - zero_point) * scale
    mean = np.mean((np.array(stored, np.float32) - zero_point) * scale, dtype=np.float32)
    total = sum(stored)
    expected = (total + 2) // 4 if total > 0 else -((2 - total) // 4)
    rounded = np.asarray(fake_quantize(mean, np.float32(low), np.float32(high), averaged=True))
    assert round(float(rounded) / float(scale)) + zero_point == expected


def test_an_empty_range_gives_zero() -> None:
    from tinyml_sdk.quantize.fake_quantization import fake_quantize

    assert not np.asarray(fake_quantize(np.zeros(3, np.float32), np.float32(0), np.float32(0))).any()


@pytest.mark.parametrize(
    ("kind", "variable", "rank", "granularity", "axes"),
    [
        ("Conv2D", "kernel", 4, "per-channel", (0, 1, 2)),
        ("Conv1D", "kernel", 3, "per-tensor-dense", (0, 1)),
        ("DepthwiseConv2D", "kernel", 4, "per-channel", (0, 1)),
        ("DepthwiseConv1D", "kernel", 3, "per-channel", (0,)),
        ("SeparableConv2D", "depthwise_kernel", 4, "per-channel", (0, 1)),
        ("SeparableConv2D", "pointwise_kernel", 4, "per-channel", (0, 1, 2)),
        ("Dense", "kernel", 2, "per-channel", (0,)),
        ("Dense", "kernel", 2, "per-tensor-dense", (0, 1)),
        ("DepthwiseConv2D", "kernel", 4, "per-tensor", (0, 1, 2, 3)),
    ],
)
def test_which_elements_share_a_scale(kind: str, variable: str, rank: int, granularity: Any, axes: Any) -> None:
    from tinyml_sdk.compress.qat.training_layers import kernel_axes

    assert kernel_axes(kind, variable, rank, granularity) == axes
    assert kernel_axes(kind, variable, rank, granularity, int4=True) == ((0, 1) if kind == "Dense" else axes)


def test_moving_ranges() -> None:
    """The plain mean at first; sites apart, and the range over all of them; frozen at inference."""
    from tinyml_sdk.compress.qat.training_layers import MovingRange

    layer = MovingRange(sites=2, momentum=0.75)
    assert np.asarray(layer(np.array([[-9.0, 9.0]], np.float32), site=0)).tolist() == [[-9.0, 9.0]]  # nothing seen
    for low in (-1.0, -3.0, -5.0):
        layer(np.array([[low, 1.0]], np.float32), site=0, training=True)
    layer(np.array([[0.5, 7.0]], np.float32), site=1, training=True)
    assert layer.learnt() == (-3.0, 7.0)
    layer(np.array([[-99.0]], np.float32), site=0)
    layer(np.array([[-99.0]], np.float32), training=True)
    assert layer.learnt() == (-3.0, 7.0)
    for _ in range(3):
        layer(np.array([[-3.0]], np.float32), site=0, training=True)
    layer(np.array([[-7.0]], np.float32), site=0, training=True)
    assert layer.learnt()[0] == pytest.approx(-3 * 0.75 - 7 * 0.25)
    assert np.asarray(layer(np.array([[99.0]], np.float32))).item() == pytest.approx(7, abs=0.05)
