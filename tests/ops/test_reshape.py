"""RESHAPE against TFLM."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import OPTIONS, ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.plan import plan_memory

Shape = Sequence[int]
WAYS = ("nothing", "tensor", "option", "both", "stretched")
"""How the file tells the new shape: -1 for the first size is `stretched`."""


def reshape_model(shape: Shape, new_shape: Shape, way: str = "both", version: int = 1) -> bytes:
    builder = ModelBuilder()
    inputs = [builder.input(shape, 0.1, 3)]
    told = [-1, *new_shape[1:]] if way == "stretched" else list(new_shape)
    if way in ("tensor", "both", "stretched"):
        inputs.append(builder.constant(np.array(told, np.int32)))
    y = builder.output(new_shape, 0.2, -4)
    with pytest.MonkeyPatch.context() as patch:
        if way in ("nothing", "tensor"):
            patch.setitem(OPTIONS, "RESHAPE", None)
            builder.op("RESHAPE", inputs, [y], version=version)
        else:
            builder.op("RESHAPE", inputs, [y], new_shape=told, version=version)
    return builder.build()


@needs_tflm
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("shape", "new_shape"),
    [((1, 3, 5, 7), (1, 105)), ((4,), (2, 2)), ((2, 3, 1), (3, 2, 1, 1)), ((1,), (1, 1))],
)
def test_shapes(shape: Shape, new_shape: Shape, way: str) -> None:
    assert_equals_tflm(reshape_model(shape, new_shape, way))


@needs_tflm
def test_between_two_layers_nothing_is_copied() -> None:
    builder = ModelBuilder()
    x = builder.input((1, 4, 6), 0.1, 3)
    tensors = [builder.tensor(shape, 0.1, 3) for shape in ((1, 4, 6), (24,), (2, 12))]
    y = builder.output((2, 12), 0.1, 3)
    builder.op("RELU", [x], [tensors[0]])
    builder.op("RESHAPE", [tensors[0]], [tensors[1]])
    builder.op("RESHAPE", [tensors[1]], [tensors[2]])
    builder.op("RELU", [tensors[2]], [y])
    graph = parse_graph(builder.build(), "op.tflite")
    plan = plan_memory(graph, lower(builder.build()))
    assert {plan.tensor_offsets[tensor] for tensor in tensors} == {0}
    assert plan.arena_bytes == 24
    assert_equals_tflm(builder.build())


@needs_tflm
def test_an_input_that_is_read_later_is_copied() -> None:
    builder = ModelBuilder()
    x, y, z = builder.input((2, 7), 0.1), builder.output((14,), 0.1), builder.output((7, 2), 0.1)
    builder.op("RESHAPE", [x], [y])
    builder.op("RESHAPE", [x], [z])
    assert_equals_tflm(builder.build())


@needs_tflm
@pytest.mark.parametrize("size", range(1, 10))
def test_a_constant_is_copied(size: int) -> None:
    builder = ModelBuilder()
    x, y = builder.input((1,), 0.1), builder.output((1,), 0.1)
    constant, z = builder.constant(np.arange(size, dtype=np.int8), 0.1), builder.output((size, 1), 0.1)
    builder.op("RESHAPE", [x], [y])
    builder.op("RESHAPE", [constant], [z])
    assert_equals_tflm(builder.build())


def test_the_output_may_not_lie_above_the_input() -> None:
    assert breaks_one_byte_closer(reshape_model((9,), (3, 3)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (reshape_model((2, 3), (6,), version=3), "version: is 3"),
        (reshape_model((2, 3), (5,)), r"output 0: shape: \[5\] has 5 elements, but the input \[2, 3\] has 6"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(RESHAPE\): {message}"):
        lower(model)


def test_other_types_are_refused() -> None:
    builder = ModelBuilder()
    x, y = builder.input((2, 3), dtype="int32"), builder.output((6,), dtype="int32")
    builder.op("RESHAPE", [x], [y])
    with pytest.raises(ModelError, match="input 0: is int32"):
        lower(builder.build())
