"""Scales, integers, biases and bytes of weights of four bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinyml_sdk.graph.int4_file import pack_int4
from tinyml_sdk.graph.reader import _unpacked
from tinyml_sdk.quantize.int4_weights import int4_weights, quantized_bias

Array = npt.NDArray[np.float32]

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)
KERNELS = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=4, max_side=4), elements=st.floats(-8, 8, width=32)
)


def quantized(kernel: Array, axis: int | None) -> tuple[Array, Array]:
    """What the weights are taken for, and their scales."""
    dead = np.full(1 if axis is None else kernel.shape[axis], 1e-3)
    found = int4_weights(kernel, axis, bias=None, input_scale=1.0, dead=dead)
    assert found.values.dtype == np.int8
    assert np.abs(found.values).max() <= 7
    assert np.all(found.values[kernel == 0] == 0)
    return found.real, found.scale


@given(arrays.arrays(np.int8, SHAPES, elements=st.integers(-8, 7)))
def test_packed_and_unpacked(values: npt.NDArray[np.int8]) -> None:
    packed = pack_int4(values)
    assert packed.dtype == np.uint8
    assert len(packed) == -(-values.size // 2)
    np.testing.assert_array_equal(_unpacked(packed, values.size).reshape(values.shape), values)


def test_the_first_of_two_is_in_the_lower_half() -> None:
    assert pack_int4(np.array([1, -1, -8, 7, 5])).tolist() == [0xF1, 0x78, 0x05]


@pytest.mark.slow
@settings(deadline=None)
@given(KERNELS, st.booleans())
def test_no_simple_scale_is_better(kernel: Array, per_channel: bool) -> None:
    axis = kernel.ndim - 1 if per_channel else None
    real, scale = quantized(kernel, axis)
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    widest = np.abs(kernel).max(axis=axes, keepdims=True).astype(np.float64) / 7
    assert len(scale) == (kernel.shape[-1] if per_channel else 1)
    error = np.sum((kernel - real.astype(np.float64)) ** 2, axis=axes)
    for share in (1.0, 0.9, 0.75, 0.5):
        step = np.where(widest > 0, widest * share, 1)
        simple = np.clip(np.rint(kernel / step), -7, 7) * step
        assert np.all(error <= np.sum((kernel - simple) ** 2, axis=axes) * (1 + 1e-5) + 1e-10)


@pytest.mark.slow
@settings(deadline=None)
@given(arrays.arrays(np.int8, (3, 9), elements=st.integers(-7, 7)), st.floats(1e-4, 10))
def test_weights_on_a_grid_keep_their_integers(values: npt.NDArray[np.int8], scale: float) -> None:
    """Where one of them is the greatest there is, as after training."""
    values[:, 0] = 7
    kernel = (values * np.float32(scale)).astype(np.float32)
    found = int4_weights(kernel, 0, bias=None, input_scale=1.0, dead=np.ones(3))
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-6)


def test_by_hand() -> None:
    """An outlier of ten steps is clipped where many small weights gain by it."""
    kernel = np.array([[1.0] * 98 + [-1.0, 10.0]], np.float32)
    found = int4_weights(kernel, 0, bias=None, input_scale=1.0, dead=np.ones(1))
    assert found.values[0, :97].tolist() == [1] * 97
    assert found.values[0, -2:].tolist() == [-1, 7]
    # With s for a scale: 99 (1 - s)² + (10 - 7 s)² is least at (99 + 70) / (99 + 49).
    np.testing.assert_allclose(found.scale, 169 / 148, rtol=1e-6)
    bias = quantized_bias(np.array([1.0, -0.5]), 0.25, np.array([0.5, 0.125], np.float32))
    assert bias.scale.tolist() == [0.125, 0.03125]
    assert bias.values.tolist() == [8, -16]
    shared = quantized_bias(np.array([1.0, -0.5]), 0.25, np.array([0.5], np.float32))
    assert (shared.values.tolist(), shared.scale.tolist()) == ([8, -4], [0.125])


def test_channels_of_zeros_and_large_biases() -> None:
    """A scale above zero, and one that int32 has room for: 2^30 steps are allowed for a bias."""
    kernel = np.array([[0.0, 0.0], [1e-9, -1e-9], [7.0, 1.0]], np.float32)
    bias = np.array([0.0, 2.0, 0.0])
    found = int4_weights(kernel, 0, bias=bias, input_scale=0.5, dead=np.array([0.25, 1.0, 1.0]))
    np.testing.assert_allclose(found.scale, [0.25, 2 / (0.5 * 2**30), 1.0], rtol=1e-6)
    assert found.values.tolist() == [[0, 0], [0, 0], [7, 1]]
    assert quantized_bias(bias, 0.5, found.scale).values.tolist() == [0, 2**30, 0]
