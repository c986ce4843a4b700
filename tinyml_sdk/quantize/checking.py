"""Is the converted model what was asked for? Asking the converter for int8 is no guarantee of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import ModelError, ToolError
from ..graph import ABSENT, DType, Graph, Op
from .job import Activations

__all__ = [
    "LayerNames",
    "RangeCheck",
    "check_integer_only",
    "check_ranges",
    "check_trained_ranges",
    "lost_range",
]

Ranges = Mapping[str, tuple[float, float]]

FIXED_RANGE = frozenset({"SOFTMAX", "LOGISTIC", "TANH", "L2_NORMALIZATION", "LOG_SOFTMAX"})
"""Their int8 output scale is part of the operator: nothing can be chosen."""

SAME_SCALE = frozenset(
    """
    AVERAGE_POOL_2D CONCATENATION EXPAND_DIMS GATHER MAX_POOL_2D MAXIMUM MINIMUM MIRROR_PAD PACK PAD PADV2
    REDUCE_MAX REDUCE_MIN RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SLICE SPLIT SPLIT_V SQUEEZE STRIDED_SLICE
    TRANSPOSE UNPACK
    """.split()
)
"""They pass values on as they are stored, so inputs and outputs share one scale, whatever each was calibrated to."""

_KERNELS = ("convolution", "depthwise", "MatMul", "Conv2D", "conv")  # what Keras calls the operation with a kernel
_CELL_STATE = 19  # which of an LSTM's inputs it is
_WITH_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")  # their second input
_CASTS = ("QUANTIZE", "DEQUANTIZE", "CAST")
_SMALLEST = 1e-6  # a range below it is as good as empty, and the converter makes up a scale


@dataclass(frozen=True)
class RangeCheck:
    """What became of the chosen ranges.

    Attributes:
        exact: Activations whose scale is their range / 255; with int16 the greater of its ends / 32767.
        clipped: Those of them whose range is smaller than what was seen.
        tied: Activations whose scale is set by their operator, or shared with a neighbour.
        trained: Ranges from quantization-aware training; each is the scale of every tensor that it is of.
    """

    exact: int
    clipped: int
    tied: int
    trained: int = 0


def check_integer_only(graph: Graph, names: LayerNames | None = None, activations: Activations = "int8") -> None:
    """Every tensor that is computed is int8, every constant int8 or int32; an LSTM's cell state is int16.

    With int16 activations those are int16 with zero point 0, and constants may also be int16 (factors) and int64
    (biases); kernels are int8.

    Args:
        graph: The converted model.
        names: To say which Keras layer it was.
        activations: What was asked for.

    Raises:
        ModelError: names the layer and the op that stayed float, or is not as asked for another reason.
    """
    dtype = DType(activations)
    broken = [(op, found) for op in graph.ops if (found := _foreign_dtype(graph, op, dtype)) is not None]
    if not broken:
        _check_symmetric(graph, dtype)
        return
    # What the converter inserts around a float layer has no name worth telling.
    op, found = next(((op, found) for op, found in broken if op.name not in _CASTS), broken[0])
    raise ModelError(
        f"stayed {found.value} ({op.name}): the converter has no {activations} version of it",
        where=f"{graph.source}: {_place(graph, op, names or LayerNames())}",
        hint="replace the layer: convolutions, dense and pooling layers, ReLU, sigmoid and softmax have one",
    )


def _check_symmetric(graph: Graph, activations: DType) -> None:
    """TensorFlow Lite's int16 kernels take no zero point."""
    for index in _computed(graph) if activations is DType.INT16 else ():
        tensor = graph.tensors[index]
        if tensor.quantization is not None and tensor.zero_point != 0:
            raise ModelError(
                f"has zero point {tensor.zero_point}, and int16 activations must have 0",
                where=f"{graph.source}: {tensor.name.partition(';')[0]}",
                hint="report the model, and use int8 activations",
            )


def _foreign_dtype(graph: Graph, op: Op, activations: DType) -> DType | None:
    """The first dtype at an op that does not belong into a model with such activations."""
    constants: tuple[DType, ...] = (DType.INT8, DType.INT32)
    if activations is DType.INT16:
        constants += (DType.INT16, DType.INT64)
    for index in (*op.inputs, *op.outputs):
        if index == ABSENT:
            continue
        tensor = graph.tensors[index]
        allowed = constants if tensor.is_constant else (activations,)
        if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM" and index in op.inputs[_CELL_STATE : _CELL_STATE + 1]:
            allowed = (DType.INT16,)
        if op.name in _WITH_KERNEL and index in op.inputs[1:2]:
            allowed = (DType.INT8,)
        if tensor.dtype not in allowed:
            return tensor.dtype
    return None


def _place(graph: Graph, op: Op, names: LayerNames) -> str:
    """The Keras layer of an op, told by its outputs, or else by its inputs."""
    tensors = [graph.tensors[index].name for index in (*op.outputs, *op.inputs) if index != ABSENT]
    layer = next(filter(None, map(names.find, tensors)), "")
    return f"layer {layer!r}" if layer else f"op {op.index} ({names.label(tensors[0]) if tensors else op.name})"


@dataclass(frozen=True)
class LayerNames:
    """Tells which Keras layer a tensor of the converted model comes from.

    Attributes:
        scopes: The layer of each path that tensors' names begin with.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)

    def find(self, tensor: str) -> str:
        """The layer of a tensor, or "".

        Tensors are called by paths, such as `model/conv/convolution`, joined by `;` where layers are fused. Of those
        fused the one with a kernel is the one people know.
        """
        paths = sorted(
            tensor.split(";"), key=lambda path: not any(word in path.rpartition("/")[2] for word in _KERNELS)
        )
        for path in paths:
            below = [scope for scope in self.scopes if path == scope or path.startswith(f"{scope}/")]
            if below:
                return self.scopes[max(below, key=len)]
        return ""

    def find_all(self, tensor: str) -> set[str]:
        """The layers of all that is fused in a tensor."""
        return {layer for path in tensor.split(";") if (layer := self.find(path))}

    def label(self, tensor: str) -> str:
        """The layer of a tensor, or else the tensor's name without what is fused into it."""
        return self.find(tensor) or tensor.partition(";")[0].replace("StatefulPartitionedCall/", "")


def check_ranges(graph: Graph, observed: Ranges, chosen: Ranges, *, strict: bool) -> RangeCheck:
    """Compare every computed tensor's scale with the range that was chosen for it.

    Args:
        graph: The converted model.
        observed: Range of each activation as it was seen, by tensor name.
        chosen: The range the converter was told.
        strict: Whether a range that got lost is an error.

    Raises:
        ToolError: a clipped range did not become the scale, though nothing ties it.
    """
    tying = _tying(graph)
    clipped = exact = tied = 0
    for index in _computed(graph):
        tensor = graph.tensors[index]
        if tensor.name not in chosen or tensor.quantization is None or tensor.quantization.per_channel:
            continue
        low, high = min(chosen[tensor.name][0], 0.0), max(chosen[tensor.name][1], 0.0)
        scale = max(-low, high) / 32767 if tensor.dtype is DType.INT16 else (high - low) / 255
        if math.isclose(tensor.scale, scale, rel_tol=1e-4):
            exact += 1
            clipped += chosen[tensor.name] != observed[tensor.name]
            continue
        tied += 1
        if strict and index not in tying and high - low > _SMALLEST:
            raise ToolError(
                f"the converter made a scale of {tensor.scale:g} of the range from {low:g} to {high:g}",
                where=f"{graph.source}: {tensor.name.partition(';')[0]}",
                hint="use --method minmax, and report the model",
            )
    return RangeCheck(exact, clipped, tied)


def check_trained_ranges(graph: Graph, trained: Mapping[str, Sequence[str]], chosen: Ranges) -> int:
    """Compare scales and zero points with the ranges that quantization-aware training found.

    Args:
        graph: The converted model.
        trained: For each range the names of the tensors that it is of.
        chosen: The ends by tensor name.

    Returns:
        How many ranges there are.

    Raises:
        ToolError: a tensor has another scale than its range gives, or none of a range's tensors is left.
    """
    computed = {graph.tensors[index].name: graph.tensors[index] for index in _computed(graph)}
    for layer, members in trained.items():
        where = f"{graph.source}: layer {layer!r}"
        left = [computed[name] for name in members if name in computed]
        if not left:
            raise lost_range(where, "the converter left none of its tensors")
        for tensor in left:
            scale, zero_point = _int8_scheme(*chosen[tensor.name])
            if 255 * scale <= _SMALLEST:
                continue  # nothing but zero is met there
            if not math.isclose(tensor.scale, scale, rel_tol=1e-6) or tensor.zero_point != zero_point:
                wanted = f"({scale:g}, {zero_point})"
                raise lost_range(where, f"the converter made it ({tensor.scale:g}, {tensor.zero_point}), not {wanted}")
    return len(trained)


def _int8_scheme(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point as TensorFlow Lite has them of a range."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return (scale, max(-128, min(127, round(-128 - low / scale)))) if scale > 0 else (0.0, 0)


def lost_range(where: str, why: str) -> ToolError:
    """A range from quantization-aware training that would not be the scale."""
    return ToolError(
        f"the range that training found got lost: {why}",
        where=where,
        hint="report the model; to go on without it, quantize the model as it was before quantization-aware training",
    )


def _computed(graph: Graph) -> list[int]:
    """The model's inputs and what ops write."""
    return list(dict.fromkeys((*graph.inputs, *(index for op in graph.ops for index in op.outputs))))


def _tying(graph: Graph) -> set[int]:
    """Tensors whose scale is not theirs alone: results of an operator with its own, and both sides of copying ones."""
    found: set[int] = set()
    for op in graph.ops:
        if op.name in FIXED_RANGE | SAME_SCALE:
            found.update(op.outputs)
        if op.name in SAME_SCALE:
            found.update(op.inputs)
    return found
