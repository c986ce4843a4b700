"""Builds .tflite files of a few ops, with the FlatBuffer object API that ships in the tflite-micro wheel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

# The option table of an operator where its name does not follow from the operator's.
OPTIONS = {
    "ASSIGN_VARIABLE": "AssignVariableOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CALL_ONCE": "CallOnceOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "HARD_SWISH": "HardSwishOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PRELU": None,
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "LOGISTIC": None,
    "RELU": None,
    "RELU6": None,
    "READ_VARIABLE": "ReadVariableOptions",
    "SPLIT_V": "SplitVOptions",
    "TANH": None,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}
ENUMS = {
    "mode": schema.MirrorPadMode,
    "padding": schema.Padding,
    "fused_activation_function": schema.ActivationFunctionType,
    "weights_format": schema.FullyConnectedOptionsWeightsFormat,
}
Scale = float | Sequence[float] | None


def camel(name: str, *, upper: bool = False) -> str:
    first, *rest = name.lower().split("_")
    return (first.title() if upper else first) + "".join(word.title() for word in rest)


class ModelBuilder:
    """A model in the making. Methods that add a tensor return its index."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.operatorCodes = []
        self._model.buffers = [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self._model.subgraphs = [self._graph]

    def tensor(
        self,
        shape: Sequence[int],
        scale: Scale = None,
        zero_point: int | Sequence[int] = 0,
        *,
        dtype: str = "int8",
        axis: int = 0,
    ) -> int:
        """A tensor between ops."""
        tensor = schema.TensorT()
        tensor.shape = [int(size) for size in shape]
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.name = f"t{len(self._graph.tensors)}"
        tensor.buffer = 0
        if scale is not None:
            scales = [float(value) for value in np.atleast_1d(scale)]
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales
            quantization.zeroPoint = [int(value) for value in np.broadcast_to(zero_point, len(scales))]
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def input(self, shape: Sequence[int], scale: Scale = None, zero_point: int = 0, *, dtype: str = "int8") -> int:
        self._graph.inputs.append(self.tensor(shape, scale, zero_point, dtype=dtype))
        return int(self._graph.inputs[-1])

    def output(self, shape: Sequence[int], scale: Scale = None, zero_point: int = 0, *, dtype: str = "int8") -> int:
        self._graph.outputs.append(self.tensor(shape, scale, zero_point, dtype=dtype))
        return int(self._graph.outputs[-1])

    def mark_output(self, index: int) -> None:
        """Make a tensor an output of the model."""
        self._graph.outputs.append(index)

    def variable(self, shape: Sequence[int], scale: Scale = None, zero_point: int = 0, *, dtype: str = "int8") -> int:
        """A tensor that lives from one inference to the next."""
        index = self.tensor(shape, scale, zero_point, dtype=dtype)
        self._graph.tensors[index].isVariable = True
        return index

    def constant(
        self, values: npt.ArrayLike, scale: Scale = None, zero_point: int | Sequence[int] = 0, *, axis: int = 0
    ) -> int:
        """A tensor whose values are in the file; its dtype is that of `values`."""
        array = np.asarray(values)
        index = self.tensor(array.shape, scale, zero_point, dtype=array.dtype.name, axis=axis)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[index].buffer = len(self._model.buffers) - 1
        return index

    def packed_constant(self, values: npt.ArrayLike, scale: Scale = None, *, axis: int = 0, cut: int = 0) -> int:
        """The same as int4: values from -8 to 7, the first of two in the lower half of a byte. `cut`: bytes missing."""
        array = np.asarray(values, np.int8)
        index = self.constant(array, scale, [0] * len(np.atleast_1d(scale)), axis=axis)
        tensor = self._graph.tensors[index]
        tensor.type = schema.TensorType.INT4
        halves = np.append(array.reshape(-1), np.zeros(array.size % 2, np.int8)).reshape(-1, 2) & 15
        self._model.buffers[tensor.buffer].data = (halves[:, 0] | halves[:, 1] << 4).astype(np.uint8)[
            : len(halves) - cut
        ]
        return index

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 1, **options: Any) -> None:
        """An op. Options by their names in the schema, enums as strings; the table is there even without any."""
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        operator.opcodeIndex = self._code(name, version)
        table = OPTIONS.get(name, camel(name, upper=True) + "Options")
        if table is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, camel(key)), key
                number = getattr(ENUMS[key], value) if isinstance(value, str) else value
                setattr(operator.builtinOptions, camel(key), number)
        self._graph.operators.append(operator)

    def _code(self, name: str, version: int) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        for index, known in enumerate(self._model.operatorCodes):
            if (known.builtinCode, known.version) == (code.builtinCode, version):
                return index
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1

    def build(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
