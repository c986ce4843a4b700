"""Windows that slide over an image: which of them the padding touches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.ops.window import Window

SIZES = st.integers(1, 12)
SMALL = st.integers(1, 3)


@given(
    st.builds(Window, st.just(1), SIZES, SIZES, SIZES, SIZES, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL)
)
def test_pairs_inside_the_input_are_counted(window: Window) -> None:
    def inside(row: int, column: int) -> bool:
        top = row * window.stride_height - window.padding_top
        left = column * window.stride_width - window.padding_left
        bottom, right = top + window.reach_height, left + window.reach_width
        return min(top, left) >= 0 and bottom <= window.input_height and right <= window.input_width

    columns = [(column, column + 1) for column in range(0, window.output_width, 2)]
    pairs = [(row, pair) for row in range(window.output_height) for pair in columns]
    whole = [all(inside(row, column) and column < window.output_width for column in pair) for row, pair in pairs]
    assert window.inside_pairs == sum(whole) / len(pairs)
