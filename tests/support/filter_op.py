"""What models of ops with weights have in common: filters, biases, and output scales that make good use of int8."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from .strategies import ACTIVATIONS, scales, seeds, zero_points
from .tflite_model import ModelBuilder


@dataclass(frozen=True)
class Numbers:
    """Everything about a layer with weights but its geometry.

    Attributes:
        factor: The real factor between accumulators and outputs, which decides the output's scale. 2^-4 and less is
            common; above 1 it takes a shift to the left.
    """

    per_channel: bool = True
    bias: bool = True
    input_scale: float = 0.0473
    input_zero_point: int = -7
    filter_scale: float = 0.0121
    factor: float = 0.0117
    output_zero_point: int = 11
    activation: str = "NONE"
    seed: int = 0

    @property
    def output_scale(self) -> float:
        return float(np.float32(self.input_scale * self.filter_scale / self.factor))

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def add_filter(self, builder: ModelBuilder, shape: tuple[int, ...], channel_axis: int = 0) -> int:
        values: npt.NDArray[np.int8] = self.rng.integers(-127, 128, shape).astype(np.int8)
        channels = shape[channel_axis]
        if not self.per_channel:
            return builder.constant(values, self.filter_scale)
        spread = self.rng.uniform(0.3, 1.0, channels)
        return builder.constant(values, np.float32(self.filter_scale * spread), [0] * channels, axis=channel_axis)

    def add_bias(self, builder: ModelBuilder, channels: int) -> list[int]:
        if not self.bias:
            return []
        reach = 60 / self.factor
        values = self.rng.integers(-int(reach) - 1, int(reach) + 2, channels).astype(np.int32)
        return [builder.constant(values, self.input_scale * self.filter_scale)]


def numbers() -> st.SearchStrategy[Numbers]:
    return st.builds(
        Numbers,
        per_channel=st.booleans(),
        bias=st.booleans(),
        input_scale=scales(-6, -2),
        input_zero_point=zero_points(),
        filter_scale=scales(-9, -5),
        factor=scales(-12, -5) | scales(-4, 2),
        output_zero_point=zero_points(),
        activation=st.sampled_from(ACTIVATIONS),
        seed=seeds(),
    )
