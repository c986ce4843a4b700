"""How far each layer of the int8 model is from the float model: signal-to-noise in decibels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bench.tflm_reference import TflmReference
from ..graph import DType, Graph, Tensor
from .checking import LayerNames
from .result import LayerNoise

__all__ = ["layer_noise", "signal_to_noise"]

Array = npt.NDArray[Any]

MOST_DB = 200.0  # stands for no noise at all


def signal_to_noise(signal: Array, noisy: Array) -> float:
    """10 log10(sum signal² / sum (signal - noisy)²), between -200 and 200; of arrays of one shape."""
    wanted = signal.astype(np.float64)
    power = float(np.sum(wanted**2))
    noise = float(np.sum((wanted - noisy.astype(np.float64)) ** 2))
    if noise == 0:
        return MOST_DB
    if power == 0:
        return -MOST_DB
    return float(np.clip(10 * np.log10(power / noise), -MOST_DB, MOST_DB))


def layer_noise(
    graph: Graph,
    reference: TflmReference,
    inputs: Sequence[Sequence[Array]],
    tensors: Mapping[str, Array],
    names: LayerNames,
    progress: Any,
) -> tuple[LayerNoise, ...]:
    """Run the int8 model and compare each layer's output with the float model's.

    Both models start from the same real inputs, so a layer carries the noise of all before it; `drop_db` is what it
    added to the worst of its inputs.

    Args:
        graph: The int8 model.
        reference: Its interpreter.
        inputs: For each sample the int8 inputs.
        tensors: Float32 activations (samples, *shape) by the name they have in `graph`.
        names: To say which Keras layer it is.
        progress: As for `quantize_model`.

    Raises:
        ToolError: the interpreter refuses the model.
    """
    known = {tensor.index: tensor for tensor in graph.tensors if _comparable(tensor, tensors)}
    if not known:
        return ()
    rows = []
    for position, sample in enumerate(inputs):
        progress("comparing layers", position, len(inputs))
        rows.append(reference.intermediates(sample, list(known)))
    decibels = {
        tensor.index: signal_to_noise(
            tensors[tensor.name], np.stack([_real(row[place], tensor).reshape(tensor.shape) for row in rows])
        )
        for place, tensor in enumerate(known.values())
    }
    return tuple(_layers(graph, decibels, names))


def _comparable(tensor: Tensor, tensors: Mapping[str, Array]) -> bool:
    quantized = (
        tensor.dtype in (DType.INT8, DType.INT16)
        and tensor.quantization is not None
        and not tensor.quantization.per_channel
    )
    return (
        not tensor.is_constant
        and quantized
        and tensor.name in tensors
        and tensors[tensor.name].shape[1:] == tensor.shape
    )


def _real(stored: Array, tensor: Tensor) -> Array:
    real: Array = (stored.astype(np.float64) - tensor.zero_point) * tensor.scale
    return real


def _layers(graph: Graph, decibels: Mapping[int, float], names: LayerNames) -> list[LayerNoise]:
    found = []
    for op in graph.ops:
        output = graph.tensors[op.outputs[0]]
        if output.index not in decibels:
            continue
        before = [decibels[index] for index in op.inputs if index in decibels]
        snr = decibels[output.index]
        found.append(
            LayerNoise(
                index=op.index,
                op=op.name,
                name=names.label(output.name),
                snr_db=round(snr, 2),
                drop_db=round(min(before) - snr, 2) if before else None,
            )
        )
    return found
