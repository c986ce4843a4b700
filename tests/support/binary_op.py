"""Models of one op with two inputs, for ADD, SUB and MUL."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from .single_op import assert_equals_tflm
from .strategies import ACTIVATIONS, broadcast_shapes, quantizations, seeds
from .tflite_model import ModelBuilder

Quantization = tuple[float, int]
Q1, Q2, Q3 = (0.1, 5), (0.0698, -9), (0.153, 3)

# First input, second input: what real models have, and what a walk over two inputs can get wrong.
SHAPES = [
    ((1, 4, 4, 3), (1, 4, 4, 3)),
    ((1, 5, 7), ()),
    ((1, 5, 7), (1,)),
    ((1, 1), (3, 9)),
    ((1, 4, 4, 3), (3,)),
    ((1, 4, 4, 3), (1, 1, 1, 3)),
    ((1, 1, 1, 3), (2, 4, 5, 3)),
    ((1, 4, 5, 3), (1, 4, 5, 1)),
    ((1, 4, 1, 3), (1, 1, 5, 1)),
    ((2, 1, 3, 1), (5, 1, 4)),
    ((2, 1, 3, 1, 2, 1), (1, 2, 1, 3, 1, 2)),
    ((1, 1, 1), (1,)),
    ((), ()),
]


def binary_model(
    name: str,
    shape1: tuple[int, ...],
    shape2: tuple[int, ...],
    quantizations: tuple[Quantization, Quantization, Quantization] = (Q1, Q2, Q3),
    *,
    output_shape: tuple[int, ...] | None = None,
    constant: int | None = None,
    seed: int = 0,
    **options: Any,
) -> bytes:
    """Input `constant`, 0 or 1, has its values in the file."""
    builder = ModelBuilder()
    rng = np.random.default_rng(seed)
    inputs = []
    for place, (shape, (scale, zero_point)) in enumerate(zip((shape1, shape2), quantizations, strict=False)):
        if constant == place:
            values: npt.NDArray[np.int8] = rng.integers(-128, 128, shape).astype(np.int8)
            inputs.append(builder.constant(values, scale, zero_point))
        else:
            inputs.append(builder.input(shape, scale, zero_point))
    output = builder.output(
        np.broadcast_shapes(shape1, shape2) if output_shape is None else output_shape, *quantizations[2]
    )
    builder.op(name, inputs, [output], **options)
    return builder.build()


@st.composite
def binary_cases(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of `binary_model` but the operator's name."""
    shape1, shape2 = draw(broadcast_shapes())
    return {
        "shape1": shape1,
        "shape2": shape2,
        "quantizations": tuple(draw(quantizations()) for _ in range(3)),
        "constant": draw(st.sampled_from([None, None, 0, 1])),
        "seed": draw(seeds()),
        "fused_activation_function": draw(st.sampled_from(ACTIVATIONS)),
    }


def assert_all_pairs_equal_tflm(
    name: str, quantizations: tuple[Quantization, Quantization, Quantization], **options: Any
) -> None:
    """All 65,536 pairs of values: a column against a row."""
    model = binary_model(name, (256, 1), (1, 256), quantizations, **options)
    everything = np.arange(-128, 128).astype(np.int8)
    assert_equals_tflm(model, [[everything.reshape(256, 1), everything.reshape(1, 256)]])
