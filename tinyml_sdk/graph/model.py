"""The graph everything downstream works on: plain, immutable, already checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ABSENT", "DType", "Graph", "Op", "OptionValue", "Quantization", "Tensor"]

ABSENT = -1
"""The tensor index that stands for an optional input which is not there (a convolution without bias)."""

OptionValue = int | float | bool | str | tuple[int, ...]


class DType(str, Enum):
    """Element types that a model for microcontrollers can hold."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy dtype of the same elements."""
        little_endian: np.dtype[Any] = np.dtype(self.value).newbyteorder("<")
        return little_endian

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize


@dataclass(frozen=True)
class Quantization:
    """real = scale x (stored - zero_point): one pair for the tensor, or one for each index along `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return len(self.scale) > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the graph. `data` is None unless it is constant; the array is read-only.

    Attributes:
        channels: For a tensor that has lost constant channels, the positions along the file's last axis of those that
            are left.
        packed: Whether the file holds its values as int4; here they are int8.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None
    channels: tuple[int, ...] | None = None
    packed: bool = False

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return self.elements * self.dtype.bytes

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor. Raises ValueError when it has none or several."""
        return self._single().scale[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor. Raises ValueError when it has none or several."""
        return self._single().zero_point[0]

    def _single(self) -> Quantization:
        if self.quantization is None or self.quantization.per_channel:
            raise ValueError(f"tensor {self.index} is not quantized per tensor")
        return self.quantization


@dataclass(frozen=True)
class Op:
    """One operator call.

    Attributes:
        inputs: Tensors it reads, ABSENT for an optional one that is left out.
        options: The file's option table, enums by name, absent fields at their defaults.
        intermediates: Tensors that hold nothing but the quantization of values inside the operator.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    intermediates: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole model. Indices in `ops`, `inputs`, `outputs` and `variables` are positions in `tensors`.

    Attributes:
        name: A C identifier made from the file name.
        source: The file's name without folders, for messages.
        sha256: Hex digest of the file.
        file_bytes: Size of the file.
    """

    name: str
    source: str
    sha256: str
    file_bytes: int
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    variables: tuple[int, ...] = ()

    @property
    def input_tensors(self) -> tuple[Tensor, ...]:
        """The model's inputs, in order."""
        return tuple(self.tensors[index] for index in self.inputs)

    @property
    def output_tensors(self) -> tuple[Tensor, ...]:
        """The model's outputs, in order."""
        return tuple(self.tensors[index] for index in self.outputs)
