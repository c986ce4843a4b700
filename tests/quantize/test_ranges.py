"""Clipping: percentiles against numpy's, mean squared error against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.quantize.ranges import BINS, Histogram, mse_range, percentile_range, quantization_error


def histogram_of(values: np.ndarray) -> Histogram:
    histogram = Histogram.between(float(values.min()), float(values.max()))
    histogram.add(values)
    return histogram


def int8_error(values: np.ndarray, low: float, high: float) -> float:
    """TFLite's quantization of each value, written out."""
    scale = (high - low) / 255
    zero_point = round(-128 - low / scale)
    stored = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float(np.sum((values - (stored - zero_point) * scale) ** 2))


@pytest.mark.parametrize("percentile", [60.0, 90.0, 99.0, 99.9])
def test_percentile_leaves_out_its_share_and_a_bin_less_would_be_too_much(percentile: float) -> None:
    values = np.random.default_rng(0).standard_normal(50_000)
    low, high = percentile_range(histogram_of(values), percentile)
    width = np.ptp(values) / BINS
    share = 1 - percentile / 100
    assert np.mean(values > high) <= share < np.mean(values > high - 1.001 * width)
    assert np.mean(values < low) <= share < np.mean(values < low + 1.001 * width)


def test_percentile_100_is_min_max() -> None:
    values = np.array([-3.0, 0.5, 7.0])
    assert percentile_range(histogram_of(values), 100) == (-3.0, 7.0)


def test_one_outlier_is_left_out() -> None:
    values = np.append(np.random.default_rng(1).uniform(0, 1, 100_000), 1000.0)
    low, high = percentile_range(histogram_of(values), 99.99)
    assert low == 0.0
    assert high < 2.0


def test_a_far_outlier_makes_the_rest_coarse() -> None:
    histogram = Histogram.between(0.0, 1000.0)
    assert histogram.is_coarse(0.0, 1.0)
    assert not histogram.is_coarse(0.0, 900.0)
    assert not histogram.is_coarse(0.0, 0.0)


def test_mse_keeps_what_is_uniform_and_clips_what_has_a_tail() -> None:
    rng = np.random.default_rng(2)
    low, high = mse_range(histogram_of(rng.uniform(-1, 1, 100_000)))
    assert (low, high) == pytest.approx((-1, 1), abs=0.05)
    tailed = rng.laplace(0, 1, 200_000)
    low, high = mse_range(histogram_of(tailed))
    assert tailed.min() < 0.9 * low
    assert 0.9 * high < tailed.max()
    assert int8_error(tailed, low, high) < int8_error(tailed, tailed.min(), tailed.max())


def test_error_of_the_histogram_is_the_error_of_the_values() -> None:
    values = np.random.default_rng(3).normal(1, 2, 100_000)
    histogram = histogram_of(values)
    for low, high in ((histogram.low, histogram.high), (-1.0, 4.0)):
        assert quantization_error(histogram, low, high) == pytest.approx(int8_error(values, low, high), rel=0.05)


@pytest.mark.slow
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.floats(50.5, 100))
def test_every_range_contains_zero_and_is_within_what_was_seen(values: list[float], percentile: float) -> None:
    histogram = histogram_of(np.array(values))
    least = quantization_error(histogram, histogram.low, histogram.high)
    for low, high in (percentile_range(histogram, percentile), mse_range(histogram)):
        assert min(*values, 0.0) <= low <= 0.0 <= high <= max(*values, 0.0)
    assert quantization_error(histogram, *mse_range(histogram)) <= least


def test_a_constant_zero_has_no_range() -> None:
    histogram = histogram_of(np.zeros(10))
    assert histogram.empty
    assert percentile_range(histogram, 99) == mse_range(histogram) == (0.0, 0.0)


@pytest.mark.parametrize("bounds", [(np.nan, 1.0), (0.0, np.inf), (2.0, 1.0)])
def test_no_range(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no range"):
        Histogram.between(*bounds)
