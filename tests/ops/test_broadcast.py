"""The walk over two inputs: as few loops as the shapes allow, and each element with its partner."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from support.binary_op import binary_model
from support.single_op import lower
from support.strategies import broadcast_shapes

from tinyml_sdk.ops import Parameters

Shape = tuple[int, ...]


def walk_of(shape1: Shape, shape2: Shape) -> Any:
    """The fields of the struct `tinyml_broadcast`."""
    (layer,) = lower(binary_model("ADD", shape1, shape2))
    parameters = layer.arguments[0]
    assert isinstance(parameters, Parameters)
    return parameters.fields["walk"]


@pytest.mark.parametrize(
    ("shape1", "shape2", "row", "loops"),
    [
        ((1, 8, 8, 4), (1, 8, 8, 4), (256, 1, 1), 0),
        ((1, 8, 8, 4), (), (256, 1, 0), 0),
        ((1, 1, 1), (8, 8), (64, 0, 1), 0),
        ((1, 8, 8, 4), (4,), (4, 1, 1), 1),
        ((1, 8, 8, 4), (8, 8, 1), (4, 1, 0), 1),
        ((2, 8, 8, 4), (2, 1, 1, 4), (4, 1, 1), 2),
        ((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 2), (2, 0, 1), 5),
        ((1, 1), (1,), (1, 1, 1), 0),
        ((), (), (1, 1, 1), 0),
    ],
)
def test_loops_are_merged(shape1: Shape, shape2: Shape, row: tuple[int, int, int], loops: int) -> None:
    walk = walk_of(shape1, shape2)
    assert (walk["row"], walk["row_step1"], walk["row_step2"], walk["loops"]) == (*row, loops)


@given(broadcast_shapes())
def test_every_element_meets_its_partner(shapes: tuple[Shape, Shape]) -> None:
    """The kernel's loops in Python, on arrays whose values say where they come from."""
    walk = walk_of(*shapes)
    ours, theirs = (np.arange(int(np.prod(shape))) for shape in shapes)
    steps = np.arange(walk["row"])
    turn = [0] * int(walk["loops"])
    place1 = place2 = 0
    pairs: list[tuple[int, int]] = []
    while True:
        pairs.extend(
            zip(ours[place1 + steps * walk["row_step1"]], theirs[place2 + steps * walk["row_step2"]], strict=True)
        )
        for loop in range(len(turn)):
            turn[loop] += 1
            if turn[loop] < walk["size"][loop]:
                place1, place2 = place1 + walk["step1"][loop], place2 + walk["step2"][loop]
                break
            turn[loop] = 0
        else:
            break
    grids = np.broadcast_arrays(*(np.arange(int(np.prod(shape))).reshape(shape) for shape in shapes))
    assert pairs == list(zip(*(grid.ravel() for grid in grids), strict=True))


def test_the_struct_has_room_for_six_dimensions() -> None:
    for moves in product((1, 2), repeat=6):
        shape1, shape2 = tuple(moves), tuple(3 - move for move in moves)
        assert len(walk_of(shape1, shape2)["size"]) == 5
