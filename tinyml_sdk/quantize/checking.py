"""Is the converted model what was asked for? Asking the converter for int8 is no guarantee of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ModelError, ToolError
from ..graph import ABSENT, DType, Graph, Op

__all__ = ["LayerNames", "RangeCheck", "check_integer_only", "check_ranges"]

Ranges = Mapping[str, tuple[float, float]]

FIXED_RANGE = frozenset({"SOFTMAX", "LOGISTIC", "TANH", "L2_NORMALIZATION", "LOG_SOFTMAX"})
"""Their int8 output scale is part of the operator: nothing can be chosen."""

SAME_SCALE = frozenset(
    """
    AVERAGE_POOL_2D CONCATENATION EXPAND_DIMS GATHER MAX_POOL_2D MAXIMUM MINIMUM MIRROR_PAD PACK PAD PADV2 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SLICE SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TRANSPOSE UNPACK
    """.split()
)
"""They pass values on as they are stored, so inputs and outputs share one scale, whatever each was calibrated to."""

_KERNELS = ("convolution", "depthwise", "MatMul", "Conv2D", "conv")  # what Keras calls the operation with a kernel
_CELL_STATE = 19  # which of an LSTM's inputs it is
_CASTS = ("QUANTIZE", "DEQUANTIZE", "CAST")
_SMALLEST = 1e-6  # a range below it is as good as empty, and the converter makes up a scale


@dataclass(frozen=True)
class RangeCheck:
    """What became of the chosen ranges.

    Attributes:
        exact: Activations whose scale is their range / 255.
        clipped: Those of them whose range is smaller than what was seen.
        tied: Activations whose scale is set by their operator, or shared with a neighbour.
    """

    exact: int
    clipped: int
    tied: int


def check_integer_only(graph: Graph, names: LayerNames | None = None) -> None:
    """Every tensor that is computed is int8, every constant int8 or int32; an LSTM's cell state is int16.

    Args:
        graph: The converted model.
        names: To say which Keras layer it was.

    Raises:
        ModelError: names the layer and the op that stayed float, or is not int8 for another reason.
    """
    broken = [(op, dtype) for op in graph.ops if (dtype := _foreign_dtype(graph, op)) is not None]
    if not broken:
        return
    # What the converter inserts around a float layer has no name worth telling.
    op, dtype = next(((op, dtype) for op, dtype in broken if op.name not in _CASTS), broken[0])
    raise ModelError(
        f"stayed {dtype.value} ({op.name}): the converter has no int8 version of it",
        where=f"{graph.source}: {_place(graph, op, names or LayerNames())}",
        hint="replace the layer: convolutions, dense and pooling layers, ReLU, sigmoid and softmax convert to int8",
    )


def _foreign_dtype(graph: Graph, op: Op) -> DType | None:
    """The first dtype at an op that does not belong into an int8 model."""
    for index in (*op.inputs, *op.outputs):
        if index == ABSENT:
            continue
        tensor = graph.tensors[index]
        allowed = (DType.INT8, DType.INT32) if tensor.is_constant else (DType.INT8,)
        if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM" and index in op.inputs[_CELL_STATE : _CELL_STATE + 1]:
            allowed = (DType.INT16,)
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
    for index in dict.fromkeys((*graph.inputs, *(index for op in graph.ops for index in op.outputs))):
        tensor = graph.tensors[index]
        if tensor.name not in chosen or tensor.quantization is None or tensor.quantization.per_channel:
            continue
        low, high = min(chosen[tensor.name][0], 0.0), max(chosen[tensor.name][1], 0.0)
        if math.isclose(tensor.scale, (high - low) / 255, rel_tol=1e-4):
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


def _tying(graph: Graph) -> set[int]:
    """Tensors whose scale is not theirs alone: results of an operator with its own, and both sides of copying ones."""
    found: set[int] = set()
    for op in graph.ops:
        if op.name in FIXED_RANGE | SAME_SCALE:
            found.update(op.outputs)
        if op.name in SAME_SCALE:
            found.update(op.inputs)
    return found
