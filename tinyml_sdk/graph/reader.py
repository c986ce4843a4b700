"""Reads a .tflite file into a Graph, checking everything that the file claims."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError, ModelError
from . import schema
from .flatbuffer import FlatBufferError, Table, root_table
from .model import ABSENT, DType, Graph, Op, OptionValue, Quantization, Tensor
from .names import identifier_from, printable
from .resources import without_resources

__all__ = ["parse_graph", "read_graph"]

MAX_FILE_BYTES = 64 << 20
MAX_TENSORS = 65_536
MAX_RANK = 6
MAX_TENSOR_BYTES = 1 << 30

_DAMAGED = "the file is damaged or not a .tflite model; convert it again, or compare its size with the original"
_CONVERT = "make one of a Keras model: `tinyml quantize MODEL.keras --calibration INPUTS.npz -o MODEL.tflite`"
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive (Keras' .keras is one)",
    b"\x89HDF": "an HDF5 file (Keras' .h5 is one)",
    b"\x7fELF": "an ELF file",
}
_INTEGER_RANGE = {
    DType.INT8: (-128, 127),
    DType.UINT8: (0, 255),
    DType.INT16: (-(2**15), 2**15 - 1),
    DType.INT32: (-(2**31), 2**31 - 1),
}
_INT4_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def read_graph(path: str | Path) -> Graph:
    """Read and check a .tflite file.

    Raises:
        InputError: the file is missing or unreadable.
        ModelError: its contents are damaged or unsupported; names the file, the op or tensor, and the field.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"{path.stat().st_size:,} bytes are over the limit of {MAX_FILE_BYTES:,}",
                where=path.name,
                hint="a model for a microcontroller has kilobytes; is this the right file?",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the model: {error.strerror}",
            where=str(path),
            hint="check the path and its permissions",
        ) from error
    return parse_graph(data, source=path.name)


def parse_graph(data: bytes, source: str = "model.tflite") -> Graph:
    """Like `read_graph`, from bytes; `source` names them in errors and gives the model its name."""
    source = printable(source)
    for start, kind in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise ModelError(f"this is {kind}, not a .tflite model", where=source, hint=_CONVERT)
    try:
        return _GraphReader(data, source).read()
    except FlatBufferError as error:
        raise ModelError(error.message, where=f"{source}: {error.path}", hint=_DAMAGED) from error


class _GraphReader:
    """One pass over one file. Fields are read in the order in which later ones refer to earlier ones."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        self.source = source
        self.buffers: list[Table] = []

    def fail(self, where: str, message: str, hint: str = _DAMAGED) -> ModelError:
        return ModelError(message, where=f"{self.source}: {where}", hint=hint)

    def read(self) -> Graph:
        model = root_table(self.data, schema.FILE_IDENTIFIER)
        version = model.scalar(0, "version", "I")
        if version != schema.SCHEMA_VERSION:
            raise self.fail("version", f"schema version is {version}, not {schema.SCHEMA_VERSION}")
        self.buffers = list(model.tables(4, "buffers", MAX_TENSORS))
        codes = [self._operator(code) for code in model.tables(1, "operator_codes", MAX_TENSORS)]
        subgraphs = list(model.tables(2, "subgraphs", MAX_TENSORS))
        if not subgraphs:
            raise self.fail("subgraphs", "there are none")
        main = self._subgraph(subgraphs[0], codes)
        initializing = [op.options["init_subgraph_index"] for op in main.ops if op.name == "CALL_ONCE"]
        if len(subgraphs) > 1 + len(initializing):
            raise self.fail(
                "subgraphs",
                f"there are {len(subgraphs)}; more than one are supported for resource variables only",
                "control flow needs more than one; export the model without it",
            )
        self._check_dataflow(main)
        called = {
            number: self._subgraph(subgraphs[number], codes)
            for number in initializing
            if isinstance(number, int) and 0 < number < len(subgraphs)
        }
        return without_resources(main, called)

    def _subgraph(self, subgraph: Table, codes: list[tuple[str, int]]) -> Graph:
        tensor_tables = list(subgraph.tables(0, "tensors", MAX_TENSORS))
        tensors = tuple(self._tensor(index, table) for index, table in enumerate(tensor_tables))
        variables = tuple(index for index, table in enumerate(tensor_tables) if table.scalar(5, "is_variable", "B"))
        return Graph(
            name=identifier_from(self.source),
            source=self.source,
            sha256=hashlib.sha256(self.data).hexdigest(),
            file_bytes=len(self.data),
            tensors=tensors,
            ops=tuple(
                self._op(index, table, codes, len(tensors))
                for index, table in enumerate(subgraph.tables(3, "operators", MAX_TENSORS))
            ),
            inputs=self._tensor_indices(subgraph, 1, "inputs", len(tensors)),
            outputs=self._tensor_indices(subgraph, 2, "outputs", len(tensors)),
            variables=variables,
        )

    # -- operators ----------------------------------------------------------------------------------------------

    def _operator(self, code: Table) -> tuple[str, int]:
        # Codes above 127 live in the newer field; the older one then holds a placeholder.
        number = max(code.scalar(3, "builtin_code", "i"), code.scalar(0, "deprecated_builtin_code", "b"))
        version = code.scalar(2, "version", "i", default=1)
        if not 0 <= number < len(schema.OPERATOR_NAMES) or schema.OPERATOR_NAMES[number] == "-":
            raise self.fail(code.path, f"operator code {number} is not in the schema")
        name = schema.OPERATOR_NAMES[number]
        if name == "CUSTOM":
            custom = code.text(1, "custom_code")
            raise self.fail(
                code.path,
                f"custom operator {custom!r} is not supported",
                "replace the layer by built-in ones before converting",
            )
        return name, version

    def _op(self, index: int, table: Table, codes: list[tuple[str, int]], tensor_count: int) -> Op:
        opcode = table.scalar(0, "opcode_index", "I")
        if opcode >= len(codes):
            raise self.fail(table.path, f"opcode_index {opcode}, but there are {len(codes)} operator codes")
        name, version = codes[opcode]
        return Op(
            index=index,
            name=name,
            version=version,
            inputs=self._tensor_indices(table, 1, "inputs", tensor_count, optional=True),
            outputs=self._tensor_indices(table, 2, "outputs", tensor_count),
            options=self._options(f"op {index} ({name})", name, table),
            intermediates=self._tensor_indices(table, 8, "intermediates", tensor_count),
        )

    def _options(self, where: str, name: str, table: Table) -> Mapping[str, OptionValue]:
        """The option table's fields by name. An op without a table has all defaults (RESHAPE may carry none)."""
        expected = schema.OPTION_TABLES.get(name)
        if expected is None:
            return {}
        union_type = table.scalar(3, "builtin_options_type", "B")
        options = table.table(4, "builtin_options") if union_type else None
        if options is not None and union_type != expected.union_type:
            raise self.fail(where, f"builtin_options_type is {union_type}, not {expected.union_type}")
        return {
            field.name: self._option(where, field, options)
            for field in expected.fields
            if options or field.kind not in ("v", "s")
        }

    def _option(self, where: str, field: schema.OptionField, options: Table | None) -> OptionValue:
        if isinstance(field.kind, tuple):
            number = options.scalar(field.slot, field.name, "b") if options else 0
            if not 0 <= number < len(field.kind):
                raise self.fail(f"{where}: {field.name}", f"{number} is not one of {', '.join(field.kind)}")
            return field.kind[number]
        if options is None:
            return bool(field.default) if field.kind == "?" else field.default
        if field.kind == "v":
            return options.integers(field.slot, field.name)
        if field.kind == "s":
            return options.text(field.slot, field.name)
        if field.kind == "f":
            return options.real(field.slot, field.name, field.default)
        value = options.scalar(field.slot, field.name, "B" if field.kind == "?" else field.kind, int(field.default))
        return bool(value) if field.kind == "?" else value

    def _tensor_indices(
        self, table: Table, slot: int, name: str, count: int, *, optional: bool = False
    ) -> tuple[int, ...]:
        indices = table.integers(slot, name)
        lowest = ABSENT if optional else 0
        for index in indices:
            if not lowest <= index < count:
                raise self.fail(table.named(name), f"tensor {index} does not exist; there are {count}")
        return indices

    # -- tensors ------------------------------------------------------------------------------------------------

    def _tensor(self, index: int, table: Table) -> Tensor:
        name = table.text(3, "name")
        where = f"tensor {index} ({name[:60]})"
        type_code = table.scalar(1, "type", "b")
        if type_code == schema.RESOURCE:
            # A variable's handle: holds nothing, and is gone when the graph is read (resources.py).
            return Tensor(index, name, (), DType.INT32, None, None)
        dtype = schema.TENSOR_TYPES.get(type_code)
        packed = type_code == schema.INT4
        if packed:
            dtype = DType.INT8
        if dtype is None:
            known = 0 <= type_code < len(schema.TENSOR_TYPE_NAMES)
            type_name = schema.TENSOR_TYPE_NAMES[type_code] if known else f"type {type_code}"
            raise self.fail(
                where,
                f"{type_name} is not supported",
                "convert the model to full int8: `tinyml quantize`, or TFLite's converter",
            )
        if table.has(6):
            raise self.fail(where, "sparse storage is not supported", "convert without weight sparsity encoding")
        shape = self._shape(where, table)
        if math.prod(shape) * dtype.bytes > MAX_TENSOR_BYTES:
            raise self.fail(f"{where}: shape", f"{list(shape)} takes over {MAX_TENSOR_BYTES:,} bytes")
        return Tensor(
            index=index,
            name=name,
            shape=shape,
            dtype=dtype,
            quantization=self._quantization(where, table, shape, dtype),
            data=self._data(where, table, shape, dtype, packed),
            packed=packed,
        )

    def _shape(self, where: str, table: Table) -> tuple[int, ...]:
        shape = table.integers(0, "shape")
        if len(shape) > MAX_RANK:
            raise self.fail(f"{where}: shape", f"has {len(shape)} dimensions; at most {MAX_RANK} are supported")
        if shape and shape[0] == -1:
            shape = (1, *shape[1:])  # a dynamic batch: microcontrollers infer one sample at a time
        for size in shape:
            if size < 0:
                raise self.fail(
                    f"{where}: shape",
                    f"{list(shape)} is not fixed",
                    "only the batch may be dynamic; convert the model with static shapes",
                )
        return shape

    def _quantization(self, where: str, table: Table, shape: tuple[int, ...], dtype: DType) -> Quantization | None:
        parameters = table.table(4, "quantization")
        if parameters is None:
            return None
        scale = parameters.reals(2, "scale")
        zero_point = parameters.integers(3, "zero_point", "i8")
        if not scale:
            return None
        where = f"{where}: quantization"
        if len(zero_point) == 1 < len(scale):
            zero_point *= len(scale)
        if len(zero_point) != len(scale):
            raise self.fail(where, f"{len(scale)} scales, but {len(zero_point)} zero points")
        for value in scale:
            if not (math.isfinite(value) and value > 0):
                raise self.fail(where, f"scale {value} is not finite and positive")
        low, high = _INTEGER_RANGE.get(dtype, (0, 0))
        for value in zero_point:
            if not low <= value <= high:
                raise self.fail(where, f"zero point {value} is outside {dtype.value}")
        axis = parameters.scalar(6, "quantized_dimension", "i")
        if len(scale) > 1:
            if not 0 <= axis < len(shape):
                raise self.fail(where, f"axis {axis} is outside shape {list(shape)}")
            if shape[axis] != len(scale):
                raise self.fail(where, f"{len(scale)} scales for {shape[axis]} channels along axis {axis}")
        return Quantization(scale, zero_point, axis)

    def _data(
        self, where: str, table: Table, shape: tuple[int, ...], dtype: DType, packed: bool
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None:
        number = table.scalar(2, "buffer", "I")
        if number >= len(self.buffers):
            raise self.fail(f"{where}: buffer", f"{number} does not exist; there are {len(self.buffers)}")
        buffer = self.buffers[number]
        if buffer.scalar(1, "offset", "Q") > 1 or buffer.scalar(2, "size", "Q") > 1:
            raise self.fail(f"{where}: buffer", "lies outside the FlatBuffer", "convert to a file under 2 GB")
        data = buffer.array(0, "data", "u1")
        if data is None or not len(data):
            return None
        elements = math.prod(shape)
        expected = -(-elements // 2) if packed else elements * dtype.bytes
        if len(data) != expected:
            raise self.fail(f"{where}: buffer", f"holds {len(data)} bytes, but shape {list(shape)} needs {expected}")
        if packed:
            return _unpacked(np.frombuffer(data.tobytes(), np.uint8), elements).reshape(shape)
        return np.frombuffer(data.tobytes(), dtype=dtype.numpy).reshape(shape)

    # -- the whole ----------------------------------------------------------------------------------------------

    def _check_dataflow(self, graph: Graph) -> None:
        """Every tensor is written once, before it is read; so the file's order of ops can run and has no cycle."""
        if not graph.inputs or not graph.outputs or not graph.ops:
            raise self.fail("subgraphs[0]", "has no inputs, no outputs or no ops")
        for index in graph.inputs:
            if graph.tensors[index].is_constant:
                raise self.fail("subgraphs[0].inputs", f"tensor {index} is a constant")
        ready = {tensor.index for tensor in graph.tensors if tensor.is_constant}
        ready.update(graph.inputs, graph.variables)
        written: set[int] = set(ready)
        for op in graph.ops:
            where = f"op {op.index} ({op.name})"
            for index in (*op.inputs, *op.outputs):
                if index != ABSENT and graph.tensors[index].elements == 0:
                    raise self.fail(where, f"tensor {index} is empty: its shape is {list(graph.tensors[index].shape)}")
            self._check_packed(graph, op, where)
            for index in op.inputs:
                if index != ABSENT and index not in ready:
                    raise self.fail(
                        f"{where}: inputs",
                        f"reads tensor {index} before any op has written it (a cycle, or ops out of order)",
                    )
            for index in op.outputs:
                if index in written:
                    raise self.fail(f"{where}: outputs", f"writes tensor {index}, which already has a value")
                written.add(index)
            ready.update(op.outputs)
        for index in graph.outputs:
            if index not in ready or graph.tensors[index].is_constant:
                raise self.fail("subgraphs[0].outputs", f"tensor {index} is not computed by any op")

    def _check_packed(self, graph: Graph, op: Op, where: str) -> None:
        """int4 is for constant weights, where TFLM unpacks them.

        Its fully connected does so with one scale only (fully_connected_common.cc).
        """
        for place, index in enumerate((*op.inputs, *op.outputs)):
            if index == ABSENT or not graph.tensors[index].packed:
                continue
            weights = graph.tensors[index]
            if place != 1 or op.name not in _INT4_WEIGHTS or not weights.is_constant:
                raise self.fail(
                    where,
                    f"tensor {index} is int4",
                    f"only weights of {', '.join(_INT4_WEIGHTS)} may be, as in TFLM; convert the rest as int8",
                )
            if op.name == "FULLY_CONNECTED" and weights.quantization is not None and weights.quantization.per_channel:
                raise self.fail(
                    where,
                    f"tensor {index} is int4 with {len(weights.quantization.scale)} scales",
                    "TFLM takes int4 weights of FULLY_CONNECTED with one scale only: quantize them per tensor",
                )


def _unpacked(data: npt.NDArray[np.uint8], elements: int) -> npt.NDArray[np.int8]:
    """Two's complement of four bits, the lower half of a byte first (`UnpackDenseInt4IntoInt8`, kernel_util)."""
    halves = np.stack([data & 15, data >> 4], axis=1).reshape(-1)[:elements].astype(np.int8)
    values = np.where(halves > 7, halves - 16, halves).astype(np.int8)
    values.flags.writeable = False
    return values
