"""What the reports say of each layer, worked out once for the console and for JSON."""

from __future__ import annotations

from dataclasses import dataclass

from ..firmware import Inspection
from ..graph import ABSENT, DType, Graph
from ..ops import Input, KernelChoice, Layer
from ..plan import MemoryPlan, StreamedLayer

__all__ = ["LayerFacts", "PartFacts", "RowsFacts", "StreamFacts", "layer_facts"]


@dataclass(frozen=True)
class PartFacts:
    """A layer of a stream: its kernel, and those that were considered."""

    index: int
    op: str
    kernel: str
    choices: tuple[KernelChoice, ...]


@dataclass(frozen=True)
class RowsFacts:
    """Of a tensor between two layers of a stream, how much is in memory at a time.

    Attributes:
        rows, height: How many rows, and how many the tensor has.
        bytes, whole: The same in bytes.
    """

    name: str
    rows: int
    height: int
    bytes: int
    whole: int


@dataclass(frozen=True)
class StreamFacts:
    """Layers that run together, so many rows of the last one's output in a step."""

    rows_at_once: int
    layers: tuple[PartFacts, ...]
    kept: tuple[RowsFacts, ...]


@dataclass(frozen=True)
class LayerFacts:
    """One layer.

    Attributes:
        name: Of the first output tensor; the shape, dtype and quantization are that tensor's too.
        kernel: The C function, None where nothing runs because the output already is the input.
        scale, zero_point: None where the output is not quantized per tensor.
        weight_scales: How many scales its weights have: 0 without weights, more than 1 when quantized per channel.
        choices: The kernels that were considered, where there is more than one.
        weight_bytes: Its constants in flash. An array that several layers read counts for the first of them.
        stream: What it consists of, None for a single layer.
    """

    index: int
    op: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    weight_scales: int
    macs: int
    weight_bytes: int
    kernel: str | None
    choices: tuple[KernelChoice, ...]
    stream: StreamFacts | None = None


def layer_facts(inspection: Inspection) -> tuple[LayerFacts, ...]:
    """One for each layer, in the order in which they run. The weight bytes add up to the model's."""
    counted: set[int] = set()
    return tuple(_facts(inspection.graph, layer, inspection.plan, counted) for layer in inspection.layers)


def _facts(graph: Graph, layer: Layer, plan: MemoryPlan, counted: set[int]) -> LayerFacts:
    output = graph.tensors[layer.op.outputs[0]]
    single = output.quantization is not None and not output.quantization.per_channel
    return LayerFacts(
        index=layer.op.index,
        op=layer.op.name,
        name=output.name,
        shape=output.shape,
        dtype=output.dtype.value,
        scale=output.scale if single else None,
        zero_point=output.zero_point if single else None,
        weight_scales=_weight_scales(graph, layer),
        macs=layer.macs,
        weight_bytes=_weight_bytes(graph, layer, counted),
        kernel=None if _is_idle(layer, plan) else layer.kernel,
        choices=layer.choices,
        stream=_stream(graph, layer) if isinstance(layer, StreamedLayer) else None,
    )


def _stream(graph: Graph, stream: StreamedLayer) -> StreamFacts:
    kept = []
    for buffer in stream.schedule.buffers:
        tensor = graph.tensors[buffer.tensor]
        kept.append(RowsFacts(tensor.name, buffer.rows, tensor.shape[1], buffer.bytes, tensor.bytes))
    parts = tuple(PartFacts(part.op.index, part.op.name, part.kernel, part.choices) for part in stream.parts)
    return StreamFacts(stream.rows_at_once, parts, tuple(kept))


def _constant_inputs(graph: Graph, layer: Layer) -> list[int]:
    """The constant tensors that the kernel reads as the file has them. Others are rearranged, or never reach the C."""
    read = [
        part.op.inputs[argument.index]
        for part in layer.parts
        for argument in part.arguments
        if isinstance(argument, Input)
    ]
    return [index for index in dict.fromkeys(read) if graph.tensors[index].is_constant]


def _weight_scales(graph: Graph, layer: Layer) -> int:
    inputs = [graph.tensors[index] for part in layer.parts for index in part.op.inputs if index != ABSENT]
    weights = [tensor for tensor in inputs if tensor.is_constant and tensor.dtype is DType.INT8]
    return max((len(tensor.quantization.scale) for tensor in weights if tensor.quantization), default=0)


def _weight_bytes(graph: Graph, layer: Layer, counted: set[int]) -> int:
    fresh = [index for index in _constant_inputs(graph, layer) if index not in counted]
    counted.update(fresh)
    made = sum(constant.values.nbytes for constant in layer.constants)
    return made + sum(graph.tensors[index].bytes for index in fresh)


def _is_idle(layer: Layer, plan: MemoryPlan) -> bool:
    """Whether the layer copies a tensor onto itself."""
    source = plan.tensor_offsets.get(layer.op.inputs[0]) if layer.op.inputs else None
    return layer.is_copy and source == plan.tensor_offsets[layer.op.outputs[0]]
