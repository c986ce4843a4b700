"""FULLY_CONNECTED against TFLM."""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.single_op import assert_equals_tflm, lower
from support.strategies import ACTIVATIONS, shapes
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


@dataclass(frozen=True)
class FullyConnected:
    shape: tuple[int, ...] = (1, 10)
    units: int = 6
    depth: int | None = None  # the last of the shape
    keep_num_dims: bool = False
    numbers: Numbers = field(default_factory=Numbers)

    def model(self, **changes: Any) -> bytes:
        """`changes`: the output's shape, or options of the op."""
        n = self.numbers
        depth = self.depth or self.shape[-1]
        rows = self.shape[:-1] if self.keep_num_dims else (prod(self.shape) // depth,)
        builder = ModelBuilder()
        x = builder.input(self.shape, n.input_scale, n.input_zero_point)
        weights = n.add_filter(builder, (self.units, depth))
        bias = n.add_bias(builder, self.units)
        y = builder.output(changes.pop("output", (*rows, self.units)), n.output_scale, n.output_zero_point)
        builder.op(
            "FULLY_CONNECTED",
            [x, weights, *bias],
            [y],
            keep_num_dims=self.keep_num_dims,
            **({"fused_activation_function": n.activation} | changes),
        )
        return builder.build()


BASE = FullyConnected()


@needs_tflm
@pytest.mark.parametrize(
    "layer",
    [
        *(replace(BASE, units=units) for units in (1, 2, 3, 4, 5, 8, 13)),
        *(replace(BASE, shape=(1, depth)) for depth in (1, 2, 3, 4, 5, 7, 8, 64, 129)),
        replace(BASE, shape=(5, 7)),
        replace(BASE, shape=(5, 7), units=9),
        replace(BASE, shape=(3, 9), units=2),
        replace(BASE, shape=(12,)),
        replace(BASE, shape=(2, 3, 4)),
        replace(BASE, shape=(2, 3, 4), keep_num_dims=True),
        replace(BASE, shape=(1, 2, 3, 4), units=5, keep_num_dims=True),
        replace(BASE, shape=(1, 2, 3, 4), depth=24),  # flattened on the way
        replace(BASE, shape=(2, 3, 4), depth=12),
    ],
)
def test_geometry(layer: FullyConnected) -> None:
    assert_equals_tflm(layer.model())


@needs_tflm
@pytest.mark.parametrize("layer", [BASE, replace(BASE, shape=(3, 21), units=7)])
@pytest.mark.parametrize(
    "numbers",
    [
        Numbers(per_channel=False),
        Numbers(bias=False),
        Numbers(bias=False, per_channel=False, input_zero_point=0),
        Numbers(input_zero_point=-128, output_zero_point=-128),
        Numbers(input_zero_point=127, output_zero_point=127),
        Numbers(factor=1.0, per_channel=False),  # a shift to the left
        Numbers(factor=3.7),  # one for some channels
        Numbers(factor=1e-7),
        Numbers(factor=1e-11),  # flushed to zero
        *(Numbers(activation=activation) for activation in ACTIVATIONS),
    ],
)
def test_numbers(layer: FullyConnected, numbers: Numbers) -> None:
    assert_equals_tflm(replace(layer, numbers=numbers).model())


@needs_tflm
@pytest.mark.slow
@settings(max_examples=30)
@given(
    layer=st.builds(
        FullyConnected,
        shape=shapes(max_rank=4, max_size=9, min_rank=1),
        units=st.integers(1, 13),
        keep_num_dims=st.booleans(),
        numbers=numbers(),
    )
)
def test_anything(layer: FullyConnected) -> None:
    assume(len(layer.shape) > 1 or not layer.keep_num_dims)
    model = layer.model()
    try:
        lower(model)
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(model, seed=layer.numbers.seed)


@needs_tflm
@pytest.mark.slow
def test_scales_multiply_in_double_precision() -> None:
    """Thousands of biases, of which a few would round differently with factors in single precision."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        input_scale, filter_scale, output_scale = (float(np.float32(rng.uniform(0.01, 0.2))) for _ in range(3))
        reach = int(120 * output_scale / (input_scale * filter_scale))
        biases = rng.integers(-reach, reach + 1, 50_000).astype(np.int32)
        builder = ModelBuilder()
        x = builder.input((1, 1), input_scale, 0)
        w = builder.constant(np.zeros((len(biases), 1), np.int8), filter_scale)
        b = builder.constant(biases, input_scale * filter_scale)
        y = builder.output((1, len(biases)), output_scale, 0)
        builder.op("FULLY_CONNECTED", [x, w, b], [y])
        assert_equals_tflm(builder.build(), [[np.zeros((1, 1), np.int8)]])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BASE.model(version=14), r"op\.tflite: op 0 \(FULLY_CONNECTED\): version: is 14"),
        (BASE.model(output=(1, 5)), "output 0: shape: is .* computes 1 rows of 6"),
        (BASE.model(weights_format=1), "weights_format: SHUFFLED4x16INT8"),
        (BASE.model(fused_activation_function="TANH"), "fused_activation_function: TANH"),
        (replace(BASE, shape=(1, 10), depth=4).model(), r"input 0: shape: .* rows of 4"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(model)
