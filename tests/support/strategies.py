"""What hypothesis draws models from."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")


def scales(low_exponent: int = -9, high_exponent: int = 1) -> st.SearchStrategy[float]:
    """float32 values from 2^low on and below 2^(high + 1), with all 24 bits, so that every rounding of them shows."""
    return st.builds(
        lambda mantissa, exponent: float(np.float32((1 + mantissa / 2**23) * 2.0**exponent)),
        st.integers(0, 2**23 - 1),
        st.integers(low_exponent, high_exponent),
    )


def zero_points() -> st.SearchStrategy[int]:
    return st.sampled_from([-128, 0, 127]) | st.integers(-128, 127)


def quantizations() -> st.SearchStrategy[tuple[float, int]]:
    return st.tuples(scales(), zero_points())


def seeds() -> st.SearchStrategy[int]:
    """For arrays, which hypothesis would draw and shrink element by element."""
    return st.integers(0, 2**32 - 1)


def shapes(max_rank: int = 4, max_size: int = 6, min_rank: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, max_size), min_size=min_rank, max_size=max_rank).map(tuple)


@st.composite
def broadcast_shapes(draw: st.DrawFn, max_rank: int = 6) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of which either repeats the other, in any dimension, also by lacking it."""
    shape = draw(st.lists(st.integers(1, 4), max_size=max_rank))
    ours, theirs = ([1 if draw(st.booleans()) else size for size in shape] for _ in range(2))
    missing = draw(st.integers(0, len(shape)))
    first, second = (tuple(ours), tuple(theirs[missing:]))
    return (first, second) if draw(st.booleans()) else (second, first)
