"""Models of one op, or of several side by side, with one int8 input and output each: RELU, LOGISTIC and the like."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .tflite_model import ModelBuilder

Quantization = tuple[float, int]

EVERY_VALUE: npt.NDArray[np.int8] = np.arange(-128, 128).astype(np.int8)


def unary_model(
    name: str,
    shape: tuple[int, ...],
    *quantizations: tuple[Quantization, Quantization],
    dtypes: tuple[str, str] = ("int8", "int8"),
    output_shape: tuple[int, ...] | None = None,
    **options: Any,
) -> bytes:
    """One op for each pair of quantizations, (input's, output's), each with its own model input and output."""
    builder = ModelBuilder()
    for of_input, of_output in quantizations:
        x = builder.input(shape, *of_input, dtype=dtypes[0])
        y = builder.output(shape if output_shape is None else output_shape, *of_output, dtype=dtypes[1])
        builder.op(name, [x], [y], **options)
    return builder.build()
