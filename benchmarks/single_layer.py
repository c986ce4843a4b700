"""Models of one layer, of any geometry, with numbers like those of trained networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tests.support.tflite_model import ModelBuilder

__all__ = ["SingleLayer", "Sparsity"]

Sparsity: TypeAlias = "float | Literal['2:4', '1x4']"
"""The share of weights that are zero, anywhere; or a pattern, along the inputs of a channel, with half of them zero."""

INPUT_SCALE, FILTER_SCALE = 0.0235, 0.0051


@dataclass(frozen=True)
class SingleLayer:
    """A layer with weights behind a ReLU, and one fused to it, as most are.

    Attributes:
        op: `CONV_2D`, `DEPTHWISE_CONV_2D` or `FULLY_CONNECTED`, which takes `inputs` and `outputs` alone.
        inputs: Channels.
        outputs: Channels; of a depthwise layer a multiple of its inputs.
        image: Height and width; padding is SAME.
        kernel, stride, dilation: Along height and width.
    """

    op: str
    inputs: int
    outputs: int
    image: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    dilation: int = 1
    sparsity: Sparsity = 0.0

    @property
    def macs(self) -> int:
        """Multiply-accumulates where no weight is zero, padding included."""
        depth = 1 if self.op == "DEPTHWISE_CONV_2D" else self.inputs
        return math.prod(self._output_shape()) * math.prod(self.kernel) * depth

    def build(self) -> bytes:
        """The .tflite file. The same layer gives the same bytes."""
        builder = ModelBuilder()
        shape = (1, self.inputs) if self.op == "FULLY_CONNECTED" else (1, *self.image, self.inputs)
        x = builder.input(shape, INPUT_SCALE, -128)
        weights, axis = self._weights()
        channels = weights.shape[axis]
        products = weights.size // channels
        # Sums of uniform inputs and weights like these have about this spread, and three of them fill the output.
        output_scale = INPUT_SCALE * FILTER_SCALE * max(1.0, products) ** 0.5 * 147 * 40 * 3 / 255
        if self.op == "FULLY_CONNECTED":
            filter_ = builder.constant(weights, FILTER_SCALE)
            bias_scale: float | list[float] = INPUT_SCALE * FILTER_SCALE
        else:
            scales = (FILTER_SCALE * np.random.default_rng(1).uniform(0.5, 1.0, (channels,))).tolist()
            filter_ = builder.constant(weights, scales, [0] * channels, axis=axis)
            bias_scale = [INPUT_SCALE * scale for scale in scales]
        bias = builder.constant(np.random.default_rng(2).integers(-3000, 3000, channels).astype(np.int32), bias_scale)
        y = builder.output(self._output_shape(), output_scale, -128)
        builder.op(self.op, [x, filter_, bias], [y], version=3, fused_activation_function="RELU", **self._options())
        return builder.build()

    def _weights(self) -> tuple[npt.NDArray[np.int8], int]:
        """The filter as the file has it, and its axis of output channels."""
        depthwise = self.op == "DEPTHWISE_CONV_2D"
        products = math.prod(self.kernel) * (1 if depthwise else self.inputs)
        rng = np.random.default_rng(0)
        rows = np.clip(np.rint(40 * rng.standard_normal((self.outputs, products))), -127, 127)
        rows = np.where(rows == 0, 1, rows)
        rows = np.where(self._kept(rng, rows), rows, 0).astype(np.int8)
        if self.op == "FULLY_CONNECTED":
            return rows, 0
        if depthwise:
            return rows.T.reshape(1, *self.kernel, self.outputs), 3
        return rows.reshape(self.outputs, *self.kernel, self.inputs), 0

    def _kept(self, rng: np.random.Generator, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        noise = rng.random(rows.shape)
        if isinstance(self.sparsity, float):
            return noise >= self.sparsity
        group = 4
        if rows.shape[1] % group:
            raise ValueError(f"{rows.shape[1]} products of a channel do not divide into groups of {group}")
        groups = noise.reshape(-1, group)
        if self.sparsity == "2:4":
            kept = np.argsort(np.argsort(groups, axis=1), axis=1) < 2
        else:
            kept = np.repeat(groups[:, :1] < 0.5, group, axis=1)
        return kept.reshape(rows.shape)

    def _options(self) -> dict[str, Any]:
        if self.op == "FULLY_CONNECTED":
            return {}
        options: dict[str, Any] = {
            "padding": "SAME",
            "stride_h": self.stride,
            "stride_w": self.stride,
            "dilation_h_factor": self.dilation,
            "dilation_w_factor": self.dilation,
        }
        if self.op == "DEPTHWISE_CONV_2D":
            options["depth_multiplier"] = self.outputs // self.inputs
        return options

    def _output_shape(self) -> tuple[int, ...]:
        if self.op == "FULLY_CONNECTED":
            return (1, self.outputs)
        return (1, *(-(-size // self.stride) for size in self.image), self.outputs)
