"""EXPAND_DIMS and SQUEEZE against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.plan import plan_memory

Shape = Sequence[int]


def add_expand_dims(builder: ModelBuilder, x: int, axis: int | Shape, output: Shape, *, version: int = 1) -> int:
    y = builder.output(output, 0.2, 4)
    builder.op("EXPAND_DIMS", [x, builder.constant(np.array(axis, np.int32))], [y], version=version)
    return y


def add_squeeze(builder: ModelBuilder, x: int, dimensions: Shape | None, output: Shape, *, version: int = 1) -> int:
    y = builder.output(output, 0.2, 4)
    builder.op("SQUEEZE", [x], [y], version=version, squeeze_dims=dimensions)
    return y


@needs_tflm
def test_any_axis() -> None:
    builder = ModelBuilder()
    for axis in (0, 1, -2, [-1]):
        shape = np.expand_dims(np.zeros((3, 5)), axis if isinstance(axis, int) else axis[0]).shape
        add_expand_dims(builder, builder.input((3, 5), 0.1), axis, shape)
    for dimensions, output in (((1,), (3, 5, 1)), ((-1, 1), (3, 5)), ((), (3, 5)), (None, (3, 5))):
        add_squeeze(builder, builder.input((3, 1, 5, 1), 0.1), dimensions, output)
    assert_equals_tflm(builder.build())


@needs_tflm
def test_between_two_layers_nothing_is_copied() -> None:
    builder = ModelBuilder()
    x = builder.input((4, 6), 0.1, 3)
    shapes = [(4, 6), (4, 1, 6), (4, 6)]
    a, b, c = (builder.tensor(shape, 0.1, 3) for shape in shapes)
    builder.op("RELU", [x], [a])
    builder.op("EXPAND_DIMS", [a, builder.constant(np.array(1, np.int32))], [b])
    builder.op("SQUEEZE", [b], [c], squeeze_dims=[1])
    builder.op("RELU", [c], [builder.output((4, 6), 0.1, 3)])
    layers = lower(builder.build())
    assert [layer.is_copy for layer in layers] == [False, True, True, False]
    plan = plan_memory(parse_graph(builder.build(), "op.tflite"), layers)
    assert plan.arena_bytes == 24
    assert_equals_tflm(builder.build())


@pytest.mark.parametrize(
    ("axis", "output", "version", "message"),
    [
        (0, (1, 3, 5), 2, "version: is 2"),
        (0, (3, 1, 5), 1, r"output 0: shape: is \[3, 1, 5\], but the op computes \[1, 3, 5\]"),
        (3, (3, 5, 1), 1, "input 1: 3 is no axis of 3 dimensions"),
        ([0, 1], (3, 5, 1), 1, r"input 1: \[0, 1\] is no axis of 3 dimensions"),
    ],
)
def test_what_cannot_be_expanded_is_refused(axis: int | Shape, output: Shape, version: int, message: str) -> None:
    builder = ModelBuilder()
    add_expand_dims(builder, builder.input((3, 5), 0.1), axis, output, version=version)
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(EXPAND_DIMS\): {message}"):
        lower(builder.build())


@pytest.mark.parametrize(
    ("dimensions", "output", "version", "message"),
    [
        ([1], (3, 5), 3, "version: is 3"),
        ([1], (3, 1, 5), 1, r"output 0: shape: is \[3, 1, 5\], but the op computes \[3, 5\]"),
        ([0], (1, 5), 1, r"squeeze_dims: 0 is no dimension of size 1 in \[3, 1, 5\]"),
        ([3], (3, 5), 1, "squeeze_dims: 3 is no dimension"),
        ([-4], (3, 5), 1, "squeeze_dims: -4 is no dimension"),
    ],
)
def test_what_cannot_be_squeezed_is_refused(dimensions: Shape, output: Shape, version: int, message: str) -> None:
    builder = ModelBuilder()
    add_squeeze(builder, builder.input((3, 1, 5), 0.1), dimensions, output, version=version)
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(SQUEEZE\): {message}"):
        lower(builder.build())
