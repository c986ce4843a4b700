"""Runs TensorFlow Lite Micro's interpreter for `reference.py`, in a process that may die of it.

Started as a script, not as a module of the package: it needs nothing of it, and so starts in the time numpy takes.
Both pipes carry plain sequences of `.npy` records (numpy's documented format: dtype, shape, bytes; never pickles).

    stdin   model (uint8), tensors to read (int64, empty: the outputs), inferences and inputs of each (int64, 2),
            then the inputs of each inference in order
    stdout  for each inference: the number of arrays (int64), then the arrays

Leaves with status 1 and a line on stderr when the interpreter refuses; any other end is the interpreter's own.
"""

from __future__ import annotations

import sys

# A script's own folder comes first on the path, and its neighbours must not stand in for standard modules.
if sys.path[0] == sys.argv[0].rpartition("/")[0]:
    del sys.path[0]

import contextlib
import io
import os
import resource
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

Array = npt.NDArray[np.generic]

build: Any = runtime.Interpreter.from_bytes  # no types in the wheel
root: Any = schema.Model.GetRootAs

ARENA_START = 1 << 20
ARENA_LIMIT = 64 << 20
ADDRESS_SPACE = 8 << 30  # a damaged file can ask for any amount of memory


def read_array(stream: BinaryIO) -> Array:
    """Read the next record, from memory: numpy would seek in a real file, and a pipe cannot."""
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def write_array(stream: BinaryIO, array: Array) -> None:
    """Write one record, by way of memory for the same reason."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    stream.write(buffer.getvalue())


def load(model: bytes, *, preserve: bool) -> Any:
    """An interpreter with an arena that suffices; `preserve` gives every tensor a place of its own in it.

    The wheel's own guess, ten times the file, fails on some models. TFLM says only that allocation failed, not why,
    so a model that it does not support is tried at every size.
    """
    config = runtime.InterpreterConfig
    kind = config.kPreserveAllTensors if preserve else config.kAllocationRecording
    size = max(ARENA_START, 10 * len(model))
    while size < ARENA_LIMIT:
        with contextlib.suppress(RuntimeError):
            return build(model, arena_size=size, intrepreter_config=kind)
        size *= 4
    return build(model, arena_size=ARENA_LIMIT, intrepreter_config=kind)


def infer(interpreter: Any, inputs: Sequence[Array], outputs: int, tensors: Sequence[int]) -> Iterator[Array]:
    """One inference from a fresh state: the tensors asked for, or else the outputs."""
    interpreter.reset()
    for index, array in enumerate(inputs):
        interpreter.set_input(array, index)
    interpreter.invoke()
    for tensor in tensors:
        yield interpreter.GetTensor(tensor, 0)["tensor_data"]
    if not tensors:
        yield from (interpreter.get_output(index) for index in range(outputs))


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer the one request on the pipe."""
    model = read_array(requests).tobytes()
    tensors = [int(index) for index in read_array(requests)]
    inferences, arity = (int(value) for value in read_array(requests))

    main_graph = root(model, 0).Subgraphs(0)
    for index in tensors:
        # GetTensor does not check, and reads past the end of its table.
        if not 0 <= index < main_graph.TensorsLength():
            raise IndexError(f"there is no tensor {index}, the model has {main_graph.TensorsLength()}")
    interpreter = load(model, preserve=bool(tensors))
    for _ in range(inferences):
        inputs = [read_array(requests) for _ in range(arity)]
        arrays = list(infer(interpreter, inputs, main_graph.OutputsLength(), tensors))
        write_array(replies, np.array(len(arrays), np.int64))
        for array in arrays:
            write_array(replies, array)
        replies.flush()


def main() -> int:
    """Answer one request within bounds of memory, leaving no core file, whatever the interpreter does."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    allowed = ADDRESS_SPACE if most == resource.RLIM_INFINITY else min(ADDRESS_SPACE, most)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    # Only replies belong on the pipe: whatever else gets printed goes to stderr.
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)
        try:
            serve(io.BytesIO(sys.stdin.buffer.read()), replies)
        except Exception as error:  # the parent reads what went wrong from the last line
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
