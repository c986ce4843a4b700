"""Arrays to and from a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import Graph, Tensor
from ..link import Client

__all__ = ["infer", "read_arena_tensor", "read_outputs", "write_inputs"]

Array = npt.NDArray[Any]


def infer(client: Client, graph: Graph, inputs: Sequence[Array]) -> tuple[int, list[Array]]:
    """One inference, again where the device was reset in the middle of it.

    Returns:
        Counter ticks of the invoke, and the outputs, of their shapes and dtypes.

    Raises:
        DeviceResetError: it was reset every time.
    """

    def work() -> tuple[int, list[Array]]:
        write_inputs(client, inputs)
        (ticks,) = client.invoke(1)
        return ticks, read_outputs(client, graph)

    return client.undisturbed(work)


def write_inputs(client: Client, arrays: Sequence[Array]) -> None:
    """Write all inputs of an inference, in the model's order."""
    for index, array in enumerate(arrays):
        client.write_input(index, np.ascontiguousarray(array).tobytes())


def read_outputs(client: Client, graph: Graph) -> list[Array]:
    """Read all outputs, of their shapes and dtypes."""
    return [_array(client.read_output(index), tensor) for index, tensor in enumerate(graph.output_tensors)]


def read_arena_tensor(client: Client, tensor: Tensor, offset: int) -> Array:
    """Read a tensor from where the memory plan has it. Later layers may have written over it."""
    return _array(client.read_arena(offset, tensor.bytes), tensor)


def _array(data: bytes, tensor: Tensor) -> Array:
    return np.frombuffer(data, dtype=tensor.dtype.numpy).reshape(tensor.shape)
