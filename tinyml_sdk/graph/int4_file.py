"""Writes weights of four bits, and the biases to match, into an int8 .tflite file.

TensorFlow's converter makes none. A file says them by the dtype of the tensor, by two weights in a byte, and by the
version of the operators that read them, each as TensorFlow Lite has it (`op_version.cc`). Imported only where the
`flatbuffers` package is, which TensorFlow and the tflite-micro wheel bring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

__all__ = ["QuantizedConstant", "pack_int4", "with_int4_weights"]

Array = npt.NDArray[Any]

_VERSIONS = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 10}
"""From which the operators take int4 weights."""

_ALIGNMENT = 16  # of a buffer's bytes: the schema's `force_align`, which the Python writer does not know
_BIAS = 2  # which of the operators' inputs it is


@dataclass(frozen=True, eq=False)
class QuantizedConstant:
    """Integers with zero point 0.

    Attributes:
        values: Of any shape: int8 from -8 to 7 for weights of four bits, int32 for biases.
        scale: float32, of shape (channels,), or (1,) for the whole.
        axis: Of the channels.
    """

    values: Array
    scale: Array
    axis: int = 0

    @property
    def step(self) -> Array:
        """The scale of each value: float64, of a shape that broadcasts to the values'."""
        shape = [1] * self.values.ndim
        shape[self.axis] = -1
        return self.scale.astype(np.float64).reshape(shape)

    @property
    def real(self) -> Array:
        """What the values stand for: float32 of their shape."""
        return (self.values * self.step).astype(np.float32)


def pack_int4(values: Array) -> npt.NDArray[np.uint8]:
    """Two values to a byte in the order in which they are stored, the first in the lower half; uint8.

    Args:
        values: Integers from -8 to 7, of any shape. An odd number of them leaves the last upper half zero.
    """
    halves = np.append(values.reshape(-1), np.zeros(values.size % 2, values.dtype)).astype(np.int8).view(np.uint8) & 15
    packed: npt.NDArray[np.uint8] = (halves[0::2] | halves[1::2] << 4).astype(np.uint8)
    return packed


class _Builder(flatbuffers.Builder):  # type: ignore[misc]  # it has no types
    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803  # its spelling
        """Vectors of bytes hold tensors."""
        return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)


def with_int4_weights(
    content: bytes,
    weights: Mapping[int, QuantizedConstant],
    ops: Mapping[int, str],
    biases: Mapping[int, QuantizedConstant],
    schema: Any,
) -> bytes:
    """The same model with some weights of four bits.

    Args:
        content: A .tflite file with one subgraph.
        weights: The new weights by the index of their tensor.
        ops: Names of all operators that read them, by index.
        biases: The new biases by the index of their operator.
        schema: Module of the classes generated from TensorFlow Lite's schema, as TensorFlow and tflite-micro have one.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(content)
    (graph,) = model.subgraphs
    for index, found in weights.items():
        tensor = graph.tensors[index]
        tensor.type = schema.TensorType.INT4
        _store(model, tensor, pack_int4(found.values), found)
    for index, bias in biases.items():
        op = graph.operators[index]
        op.inputs = [int(number) for number in op.inputs]
        op.inputs[_BIAS] = _own_copy(graph, op, schema)
        _store(
            model, graph.tensors[op.inputs[_BIAS]], np.frombuffer(bias.values.astype("<i4").tobytes(), np.uint8), bias
        )
    for index, name in ops.items():
        _raise_version(model, graph.operators[index], _VERSIONS[name], schema)
    _drop_unused(model)
    builder = _Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _store(model: Any, tensor: Any, data: Array, constant: QuantizedConstant) -> None:
    """New contents in a buffer of the tensor's own: equal ones share theirs."""
    buffer = type(model.buffers[0])()
    buffer.data = data
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    quantization = tensor.quantization
    quantization.scale = constant.scale.astype(np.float32)
    quantization.zeroPoint = np.zeros(len(constant.scale), np.int64)
    quantization.quantizedDimension = constant.axis if len(constant.scale) > 1 else 0
    quantization.min = quantization.max = None


def _own_copy(graph: Any, op: Any, schema: Any) -> int:
    """The index of the op's bias, or of a copy where others read it as well."""
    index = int(op.inputs[_BIAS])
    if sum(list(other.inputs).count(index) for other in graph.operators) == 1:
        return index
    original, copy = graph.tensors[index], schema.TensorT()
    vars(copy).update(vars(original))
    copy.name = original.name + b"_int4"
    copy.quantization = schema.QuantizationParametersT()
    vars(copy.quantization).update(vars(original.quantization))
    graph.tensors.append(copy)
    return len(graph.tensors) - 1


def _raise_version(model: Any, op: Any, least: int, schema: Any) -> None:
    code = model.operatorCodes[op.opcodeIndex]
    raised = schema.OperatorCodeT()
    vars(raised).update(vars(code))
    raised.version = max(code.version, least)
    known = [vars(each) for each in model.operatorCodes]
    if vars(raised) not in known:
        model.operatorCodes.append(raised)
        known.append(vars(raised))
    op.opcodeIndex = known.index(vars(raised))


def _drop_unused(model: Any) -> None:
    """Take out the operator codes and the buffers that nothing refers to any more."""
    ops = [op for graph in model.subgraphs for op in graph.operators]
    codes = sorted({op.opcodeIndex for op in ops})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for op in ops:
        op.opcodeIndex = codes.index(op.opcodeIndex)
    owners = [*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or [])]
    buffers = sorted({0, *(owner.buffer for owner in owners)})  # the first is empty by definition
    model.buffers = [model.buffers[index] for index in buffers]
    place = {index: number for number, index in enumerate(buffers)}
    for owner in owners:
        owner.buffer = place[owner.buffer]
