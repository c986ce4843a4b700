"""Schedules of streams, played on memory that remembers of which tensor and row each of its bytes is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.chains import chains

from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.ops import Layer, Rows, RowWindow, lower_graph, row_window
from tinyml_sdk.ops.rows import FIRST_ROWS, LAST_ROWS
from tinyml_sdk.plan.row_schedule import RowSchedule, schedule_rows


class Memory:
    """The output at 0, the input so many bytes above it, and the buffers behind both."""

    def __init__(self, graph: Graph, schedule: RowSchedule, distance: int) -> None:
        self.graph, self.schedule = graph, schedule
        (source,) = schedule.inputs
        sizes = {index: graph.tensors[index].bytes for index in (source, schedule.output)}
        self.start = {schedule.output: 0, source: distance}
        self.buffers = distance + sizes[source] + sizes[schedule.output]
        self.tags = np.zeros(self.buffers + schedule.buffer_bytes, np.int64)
        self.write(source, distance, 0, graph.tensors[source].shape[1])

    def at(self, place) -> int:
        return place.offset + (self.buffers if place.tensor is None else self.start[place.tensor])

    def rows(self, tensor: int, first: int, count: int) -> np.ndarray:
        """What the bytes of some rows are remembered as."""
        row_bytes = self.graph.tensors[tensor].bytes // self.graph.tensors[tensor].shape[1]
        return np.repeat(1 + (tensor << 32) + np.arange(first, first + count), row_bytes)

    def write(self, tensor: int, at: int, first: int, count: int) -> None:
        rows = self.rows(tensor, first, count)
        self.tags[at : at + len(rows)] = rows

    def holds(self, tensor: int, at: int, first: int, count: int) -> bool:
        rows = self.rows(tensor, first, count)
        return at >= 0 and np.array_equal(self.tags[at : at + len(rows)], rows)

    def takes_in(self, tensor: int, first: int, rows: Rows, window: RowWindow) -> bool:
        """Whether what is known of the rows before is there. Remembers the rows; with the last come the output's."""
        at = self.buffers + self.schedule.state
        state = self.tags[at : at + window.state_bytes]
        there = bool(rows.edges & FIRST_ROWS) == (first == 0) and (first == 0 or bool((state == -first).all()))
        state[:] = -(first + rows.input_rows)
        if rows.edges & LAST_ROWS:
            self.write(tensor, self.start[tensor], 0, self.graph.tensors[tensor].shape[1])
        return there

    def move(self) -> None:
        for buffer in self.schedule.buffers:
            at, dropped = self.buffers + buffer.offset, buffer.step * buffer.row_bytes
            self.tags[at : at + buffer.kept_bytes] = self.tags[at + dropped : at + dropped + buffer.kept_bytes].copy()


def plays(graph: Graph, layers: tuple[Layer, ...], schedule: RowSchedule, distance: int) -> bool:
    """Whether every call finds the rows that it needs, and all rows of the output are there in the end."""
    memory = Memory(graph, schedule, distance)
    made = dict.fromkeys((layer.op.outputs[0] for layer in layers), 0)
    for step in schedule.steps:
        memory.move()
        for layer, call in zip(layers, step, strict=True):
            if call is None:
                continue
            window, output = row_window(graph, layer), layer.op.outputs[0]
            first = call.first_row
            assert first >= made[output], "nothing is computed twice"
            start, rows = window.rows(first, first + call.rows.output_rows)
            assert rows == call.rows
            for index, place in zip(layer.op.inputs, call.inputs, strict=False):
                if not memory.holds(index, memory.at(place), start, rows.input_rows):
                    return False
            if not window.state_bytes:
                memory.write(output, memory.at(call.output), first, rows.output_rows)
            elif not memory.takes_in(output, first, rows, window):
                return False
            made[output] = first + rows.output_rows
    assert made[schedule.output] == row_window(graph, layers[-1]).output_height
    return memory.holds(schedule.output, 0, 0, graph.tensors[schedule.output].shape[1])


@pytest.mark.slow
@given(chains(), st.sampled_from([1, 2, 3, 5, 100]))
@settings(max_examples=100)
def test_every_row_is_there_when_it_is_read(chain, rows_at_once):
    graph = parse_graph(chain.model(), "chain.tflite")
    layers = lower_graph(graph)
    schedule = schedule_rows(graph, layers, [row_window(graph, layer) for layer in layers], rows_at_once)
    assume(schedule is not None)
    (lead,) = schedule.leads
    for distance in (lead, lead + 1, lead + 1000):
        assert plays(graph, layers, schedule, distance)
    # A last layer that reads the input itself keeps its rows apart within a call, which is not played here.
    if lead > 0 and schedule.inputs[0] not in layers[-1].op.inputs:
        assert not plays(graph, layers, schedule, lead - 1)
