"""Where to clip an activation: from a histogram of its values to the range that int8 will span.

Every range contains zero, as the int8 scheme must represent it exactly (padding, ReLU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Histogram", "mse_range", "percentile_range", "quantization_error"]

Array = npt.NDArray[Any]

BINS = 4096  # sixteen for each of the 256 steps
CANDIDATES = 64
ROUNDS = 3  # of searching each end in turn


@dataclass
class Histogram:
    """Counts of a tensor's values in `BINS` equal bins between the least and the greatest that will be seen.

    Attributes:
        low, high: The least and greatest value, widened to contain zero.
        counts: float64 of shape (BINS,).
    """

    low: float
    high: float
    counts: Array

    @classmethod
    def between(cls, low: float, high: float) -> Histogram:
        """An empty histogram. Raises ValueError for a range that is not finite or upside down."""
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise ValueError(f"no range: {low} to {high}")
        return cls(min(low, 0.0), max(high, 0.0), np.zeros(BINS))

    @property
    def empty(self) -> bool:
        """Whether the range is a single point, so that there is nothing to choose."""
        return self.high <= self.low

    @property
    def centers(self) -> Array:
        """The middle of each bin, float64 of shape (BINS,)."""
        return self.low + (np.arange(BINS) + 0.5) * (self.high - self.low) / BINS

    def is_coarse(self, low: float, high: float) -> bool:
        """Whether a range within takes less than a sixteenth of the bins, so that its ends are known only roughly."""
        return 0 < (high - low) * 16 < self.high - self.low

    def add(self, values: Array) -> None:
        """Count values of any shape; those outside fall into the outer bins."""
        if self.empty:
            return
        position = (values.ravel().astype(np.float64) - self.low) * (BINS / (self.high - self.low))
        index = np.clip(position.astype(np.int64), 0, BINS - 1)
        self.counts += np.bincount(index, minlength=BINS)


def percentile_range(histogram: Histogram, percentile: float) -> tuple[float, float]:
    """The range that leaves out the fraction `1 - percentile/100` of all values at either end.

    Exact to the width of a bin. Source: Wu et al., "Integer Quantization for Deep Learning Inference", 2020
    (arXiv:2004.09602), section 4.3, made two-sided for asymmetric activations.

    Args:
        histogram: What was seen.
        percentile: Above 50, at most 100; 100 is min-max.

    Returns:
        Low and high, containing zero.
    """
    total = histogram.counts.sum()
    if histogram.empty or total == 0:
        return histogram.low, histogram.high
    left_out = total * (1 - percentile / 100)
    from_left = np.cumsum(histogram.counts)
    from_right = np.cumsum(histogram.counts[::-1])
    width = (histogram.high - histogram.low) / BINS
    # The first bin that holds more than what may be left out is kept whole.
    low = histogram.low + width * int(np.searchsorted(from_left, left_out, side="right"))
    high = histogram.high - width * int(np.searchsorted(from_right, left_out, side="right"))
    return min(low, 0.0), max(high, 0.0)


def mse_range(histogram: Histogram) -> tuple[float, float]:
    """The range whose int8 rounding and clipping errors have the least mean square over what was seen.

    A search over `CANDIDATES` fractions of either end, the two in turn. Source: Nagel et al., "A White Paper on Neural
    Network Quantization", 2021 (arXiv:2106.08295), section 3.1, with a grid instead of a golden-section search.

    Returns:
        Low and high, containing zero. Never worse, on the histogram, than min-max.
    """
    low, high = histogram.low, histogram.high
    if histogram.empty or histogram.counts.sum() == 0:
        return low, high
    fractions = np.arange(CANDIDATES, 0, -1) / CANDIDATES
    for _ in range(ROUNDS):
        before = (low, high)
        if histogram.high > 0:
            high = min((histogram.high * f for f in fractions), key=lambda end: quantization_error(histogram, low, end))
        if histogram.low < 0:
            low = min((histogram.low * f for f in fractions), key=lambda end: quantization_error(histogram, end, high))
        if (low, high) == before:
            break
    return low, high


def quantization_error(histogram: Histogram, low: float, high: float) -> float:
    """Sum of squared int8 errors over a histogram, were the tensor quantized to `low` … `high`.

    The scheme is TFLite's: scale = (high - low) / 255, zero point = rint(-128 - low / scale), clipped to int8.
    """
    scale = (high - low) / 255
    if scale <= 0:
        return float(np.sum(histogram.counts * histogram.centers**2))
    zero_point = np.clip(np.rint(-128 - low / scale), -128, 127)
    values = histogram.centers
    stored = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return float(np.sum(histogram.counts * (values - (stored - zero_point) * scale) ** 2))
