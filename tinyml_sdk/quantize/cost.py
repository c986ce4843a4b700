"""What one inference of a converted model takes, and its constants."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..firmware import inspect_model
from ..graph import ABSENT, Graph
from .job import Activations, Weights

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of one inference, and bytes of constants in flash; of int4 weights also those for size."""

    macs: int
    weight_bytes: int
    weight_bytes_for_size: int | None = None


def cost_of(graph: Graph, content: bytes, folder: Path, activations: Activations, weights: Weights = "int8") -> Cost:
    """As `tinyml inspect` counts for int8. For int16, of which there are no kernels of ours, from the file alone.

    Args:
        graph: The model.
        content: Its file.
        folder: Where the file may be put for a moment.
        activations: Its dtype.
        weights: Those of `int4` are also counted as they are with `--optimize size`.

    Raises:
        ModelError: an int8 model with an operator that is not supported.
    """
    if activations == "int8":
        path = folder / graph.source
        path.write_bytes(content)
        inspection = inspect_model(path)
        packed = inspect_model(path, optimize="size").weight_bytes if weights == "int4" else None
        return Cost(inspection.macs, inspection.weight_bytes, packed)
    read = {index for op in graph.ops for index in op.inputs if index != ABSENT and graph.tensors[index].is_constant}
    return Cost(_macs(graph), sum(graph.tensors[index].bytes for index in read))


def _macs(graph: Graph) -> int:
    """Every output of a convolution or dense layer takes as many products as its channel has weights."""
    total = 0
    for op in graph.ops:
        output = graph.tensors[op.outputs[0]].elements
        if op.name in ("CONV_2D", "FULLY_CONNECTED"):
            total += output * prod(graph.tensors[op.inputs[1]].shape[1:])
        elif op.name == "DEPTHWISE_CONV_2D":
            total += output * prod(graph.tensors[op.inputs[1]].shape[1:3])
    return total
