"""The arena planner: never an overlap that is not allowed, never below the lower bound, and optimal when small."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyml_sdk.plan.buffers import Buffer
from tinyml_sdk.plan.placement import ALIGNMENT, Placement, _Conflicts, align, lower_bound, place


@st.composite
def problems(draw, most: int = 12):
    """Buffers of a made-up model: a step each, read by a later one, with leads to some readers."""
    steps = draw(st.integers(1, most))
    buffers = []
    for step in range(steps):
        last = draw(st.integers(step, min(steps, step + 3)))
        buffers.append(Buffer(draw(st.integers(1, 200)), step - 1, last - 1 if last > step else step - 1, tensor=step))
    leads = {
        (a, b): draw(st.integers(0, 60))
        for a, first in enumerate(buffers)
        for b, second in enumerate(buffers)
        if first.last == second.first and first.first < second.first and draw(st.booleans())
    }
    return buffers, leads


def check(buffers, leads, placement: Placement) -> None:
    """No two buffers that meet share a byte, but for an output that runs into its input by the rule."""
    for (a, first), (b, second) in itertools.permutations(enumerate(buffers), 2):
        if not first.meets(second):
            continue
        x, y = placement.offsets[a], placement.offsets[b]
        apart = x + first.bytes <= y or y + second.bytes <= x
        assert apart or ((a, b) in leads and x - y >= leads[a, b]) or ((b, a) in leads and y - x >= leads[b, a])
    for offset in placement.offsets:
        assert offset % ALIGNMENT == 0
    ends = [offset + align(buffer.bytes) for buffer, offset in zip(buffers, placement.offsets, strict=True)]
    assert placement.bytes == max(ends)


@pytest.mark.slow
@given(problems())
@settings(max_examples=150, deadline=None)
def test_placements_are_sound(problem):
    buffers, leads = problem
    placement = place(buffers, leads)
    check(buffers, leads, placement)
    assert placement.bytes >= lower_bound(buffers, leads)
    assert placement == place(buffers, leads)


@given(problems(most=5))
@settings(max_examples=60, deadline=None)
def test_small_graphs_are_solved_exactly(problem):
    buffers, leads = problem
    conflicts = _Conflicts(buffers, leads)
    best = min(conflicts.place(order).bytes for order in itertools.permutations(range(len(buffers))))
    placement = place(buffers, leads)
    assert placement.optimal
    assert placement.bytes == best


def test_chain_in_place_needs_one_buffer():
    buffers = [Buffer(100, step - 1, step, tensor=step) for step in range(4)]
    leads = {(step, step + 1): 0 for step in range(3)}
    assert place(buffers, leads).bytes == 100
    assert place(buffers, {}).bytes == 200


def test_lead_shifts_the_input_up():
    """An output of 100 bytes may run into an input of 100 that starts 12 bytes above it."""
    buffers = [Buffer(100, -1, 0, tensor=0), Buffer(100, 0, 1, tensor=1)]
    placement = place(buffers, {(0, 1): 10})
    assert placement.bytes == 112
    assert placement.offsets == (12, 0)
    assert placement.optimal
