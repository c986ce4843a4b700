"""Layers with weights to leave out or to code, and the kernels for them forced, whatever they cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from tinyml_sdk.ops import Layer
from tinyml_sdk.ops.selection import Candidate
from tinyml_sdk.ops.sparse import layers as sparse
from tinyml_sdk.ops.sparse.lists import FORMS, Form

from .filter_op import Numbers
from .tflite_model import ModelBuilder

DSP, PORTABLE, ROW, CODES_ROW = sparse.CODE_BYTES


@contextmanager
def forced(*kernels: str, forms: tuple[Form, ...], tile: int = 8) -> Iterator[None]:
    """The first of these kernels that the core can run is the cheapest, with the first of `forms` that has room."""

    def cheap(layer: Layer, cost: float, *rest: Any, **named: Any) -> Candidate:
        if layer.kernel in kernels:
            cost = 1 + kernels.index(layer.kernel) * len(FORMS) + forms.index(form_of(layer))
        else:
            cost = 1e12
        return Candidate(layer, cost, *rest, **named)

    with patch.multiple(
        sparse, FORMS=forms, _TILES=(tile,), _LEAST_LEFT_OUT=-9, _room=lambda _: 10**9, Candidate=cheap
    ):
        yield


def form_of(layer: Layer) -> Form:
    """How a layer's lists are written."""
    if layer.kernel == CODES_ROW:
        return "codes"
    fields: Any = layer.arguments[0].fields  # type: ignore[union-attr]
    if layer.kernel == DSP:
        return fields["narrow"]["lists"].removeprefix("tinyml_sparse_")[:-2]  # type: ignore[no-any-return]
    return fields["compute"].split("_", maxsplit=3)[-1]  # type: ignore[no-any-return]


def sparse_weights(
    rng: np.random.Generator, shape: tuple[int, ...], *, zeros: float = 0.8, pattern: str = "", values: int = 0
) -> npt.NDArray[np.int8]:
    """Random weights.

    Args:
        rng: Where they come from.
        shape: (channels, ..., inputs).
        zeros: Share of weights that are zero, or of blocks.
        pattern: Empty, "1x4" or N:M, which lies along the inputs as in `compress/weights/masks.py`.
        values: How many different ones there are, zero included; any if 0.
    """
    weights = rng.choice([0, *rng.integers(-127, 128, values - 1)] if values else np.arange(-127, 128), shape)
    *rest, inputs = shape
    if pattern == "1x4":
        kept = np.repeat(rng.random((*rest, -(-inputs // 4))) >= zeros, 4, axis=-1)[..., :inputs]
    elif pattern:
        n, m = map(int, pattern.split(":"))
        ranks = rng.random((*rest, -(-inputs // m), m)).argsort(axis=-1)
        kept = (ranks < n).reshape(*rest, -1)[..., :inputs]
    else:
        kept = rng.random(shape) >= zeros
    return np.where(kept, weights, 0).astype(np.int8)


def add_layer(builder: ModelBuilder, x: int, output: tuple[int, ...], weights: npt.NDArray[np.int8], n: Numbers) -> int:
    """A convolution of stride 1, or a fully connected layer; returns its output."""
    channels = len(weights)
    scales = np.float32(n.filter_scale * n.rng.uniform(0.3, 1.0, channels))
    w = builder.constant(weights, scales, [0] * channels, axis=0)
    bias = n.add_bias(builder, channels)
    y = builder.tensor(output, n.output_scale, n.output_zero_point)
    if weights.ndim == 2:
        builder.op("FULLY_CONNECTED", [x, w, *bias], [y], fused_activation_function=n.activation)
    else:
        builder.op("CONV_2D", [x, w, *bias], [y], stride_h=1, stride_w=1, fused_activation_function=n.activation)
    return y
