"""The interpreter's arena where it cannot be measured on the core: a framework that brings TFLM itself, a board without
an emulator.

It is measured in TFLM's interpreter on this machine (the wheel `tflite-micro`), with a margin for what that does not
know. Pointers are twice as long here, so what the interpreter keeps for itself is less on the core. But the wheel has
the reference kernels: CMSIS-NN's and ESP-NN's take scratch memory besides, and the margin is the most that a layer's
may take.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from math import prod
from pathlib import Path

from ..boards import Board
from ..codegen import ArenaSize
from ..errors import FitError, MissingToolError, ToolError
from ..graph import Graph, Op

__all__ = ["estimate_arena"]

_WORKER = Path(__file__).resolve().with_name("_host_worker.py")
_DEADLINE_S = 300.0


def estimate_arena(graph: Graph, data: bytes, board: Board | None) -> ArenaSize:
    """What the interpreter needs on this machine, and a margin for the scratch memory of optimized kernels.

    Args:
        graph: The model as it is in the file.
        data: The bytes of the file.
        board: Whose kernels to allow for; any Cortex-M's where None.

    Raises:
        MissingToolError: the wheel is not installed.
        FitError: TFLM does not run the model.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise MissingToolError(
            "the tflite-micro package is not installed, with which the arena is measured",
            hint="pip install 'tinyml-sdk[reference]' (Linux on x86_64 only), or measure on the core with --tflm-root",
        )
    measured = _measure(graph, data)
    isa = board.core_spec.isa if board else "armv7e-m"
    scratch = _esp32s3_scratch if board and board.core == "xtensa-lx7" else _cmsis_nn_scratch
    margin = _round_up(max((scratch(graph, op) for op in graph.ops), default=0), 16)
    kernels = "CMSIS-NN" if isa.startswith("arm") else "ESP-NN"
    return ArenaSize(
        measured + margin,
        f"Not measured on the chip: TensorFlow Lite Micro needs {measured:,} bytes on a 64 bit host, and {margin:,} "
        f"more are for the scratch memory of {kernels}, an upper bound. On the chip it may be less.",
    )


def _measure(graph: Graph, data: bytes) -> int:
    try:
        done = subprocess.run(
            [sys.executable, str(_WORKER)], input=data, capture_output=True, timeout=_DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess([], 1, b"", b"it took too long")
    if done.returncode != 0 or not done.stdout.strip().isdigit():
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ToolError(
            f"TensorFlow Lite Micro's arena could not be measured: {said[-1] if said else 'no message'}",
            where=graph.source,
            hint="run `tinyml doctor`; or measure on the core with --tflm-root",
        )
    measured = int(done.stdout)
    if measured == 0:
        raise FitError("TensorFlow Lite Micro does not run this model", where=graph.source, hint="choose --runtime aot")
    return measured


# -- scratch memory -----------------------------------------------------------------------------------------------


def _cmsis_nn_scratch(graph: Graph, op: Op) -> int:
    """The most that a layer takes in CMSIS-NN, of all its cores (arm_nn_get_buffer_sizes_*.c). Bytes.

    Convolutions gather windows as int16, two at a time (four as int8 with MVE); depthwise ones a window, with MVE four.
    The rest keep a sum for each channel.
    """
    window, _, outputs = _sizes(graph, op)
    if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        return 4 * _round_up(window, 4) + 8 * outputs + 16
    return 8 * outputs


def _esp32s3_scratch(graph: Graph, op: Op) -> int:
    """The most that a layer takes in ESP-NN on an ESP32-S3 (esp_nn_conv_esp32s3.c). Bytes.

    Padded copies of the input and the output, and two copies of the filter, all in rows of 16 channels.
    """
    _, filter_rows, outputs = _sizes(graph, op)
    if op.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return 8 * outputs
    padded = sum(_padded_bytes(graph, index, filter_rows) for index in (op.inputs[0], op.outputs[0]))
    filters = graph.tensors[op.inputs[1]].shape
    return 2 * padded + 2 * prod(filters[:-1]) * _round_up(filters[-1], 16) + 4 * outputs + 256


def _sizes(graph: Graph, op: Op) -> tuple[int, int, int]:
    """Of a layer with filters: elements of a window, the longer side of the filter; and the output's channels."""
    shape = graph.tensors[op.outputs[0]].shape
    outputs = shape[-1] if shape else 1
    if len(op.inputs) < 2 or len(graph.tensors[op.inputs[1]].shape) != 4:
        return 0, 0, outputs
    filters = graph.tensors[op.inputs[1]].shape
    return prod(filters[1:]), max(filters[1:3]), outputs


def _padded_bytes(graph: Graph, index: int, border: int) -> int:
    _, height, width, channels = graph.tensors[index].shape
    return (height + 2 * border) * (width + 2 * border) * _round_up(channels, 16)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
