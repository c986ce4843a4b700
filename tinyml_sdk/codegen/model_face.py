"""What `NAME.h` says of a model, whichever runtime is behind it: inputs and outputs with shapes and quantization."""

from __future__ import annotations

from typing import Any

from ..graph import Tensor
from .c_source import c_string, float_literal

__all__ = ["describe_tensor"]


def describe_tensor(tensor: Tensor) -> dict[str, Any]:
    """An input or output of the model as the header describes it."""
    quantization = tensor.quantization
    return {
        "tensor_name": c_string(tensor.name)[1:-1].replace("*/", "* /"),
        "dtype": tensor.dtype.value,
        "shape": "{" + ", ".join(str(size) for size in tensor.shape or (1,)) + "}",
        "rank": max(1, len(tensor.shape)),
        "bytes": tensor.bytes,
        "scale": float_literal(quantization.scale[0]) if quantization else None,
        "zero_point": quantization.zero_point[0] if quantization else None,
    }
