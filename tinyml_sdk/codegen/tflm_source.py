"""A model for TensorFlow Lite Micro's interpreter, behind the face that generated models have: runtime `tflm`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..graph import Graph
from ..ops import Layer
from ..ops.tflm import Registration, find_registrations
from .c_source import c_call
from .model_face import describe_tensor
from .model_source import ModelSource
from .templates import render

__all__ = ["TFLM_ARENA_ALIGNMENT", "ArenaSize", "generate_tflm_model"]

TFLM_ARENA_ALIGNMENT = 16
"""Bytes. TFLM rounds the arena's start up to this by itself, and what it skips is lost (micro_allocator.cc)."""

_BYTES_A_ROW = 16


@dataclass(frozen=True)
class ArenaSize:
    """How much memory the interpreter is given.

    Attributes:
        bytes: What setting up and an inference need.
        origin: How that is known, a sentence for a comment in the header.
    """

    bytes: int
    origin: str


def generate_tflm_model(
    graph: Graph, layers: Sequence[Layer], data: bytes, arena: ArenaSize, *, arduino: bool = False
) -> ModelSource:
    """Write a model as C++17 without heap, exceptions, RTTI or static constructors. TFLM itself is not among the files.

    The same arguments always give the same bytes.

    Args:
        graph: The model as it is in the file.
        layers: One for each op, for the figures in the comments.
        data: The bytes of the .tflite file.
        arena: What the interpreter needs.
        arduino: For the Arduino library Chirale_TensorFLowLite. It has the reference kernels, and no
            registrations for int8 alone that would be smaller.

    Raises:
        ModelError: TFLM lacks an operator.
    """
    registrations = find_registrations(graph, int8_only=not arduino)
    noted = _noted(registrations)
    context: dict[str, Any] = {
        "version": __version__,
        "name": graph.name,
        "upper": graph.name.upper(),
        "source": graph.source,
        "sha256": graph.sha256,
        "layer_count": len(graph.ops),
        "macs": sum(layer.macs for layer in layers),
        "arena_bytes": arena.bytes,
        "arena_comment": arena.origin,
        "alignment": TFLM_ARENA_ALIGNMENT,
        "inputs": [describe_tensor(tensor) for tensor in graph.input_tensors],
        "outputs": [describe_tensor(tensor) for tensor in graph.output_tensors],
        "int8_only": any(not registration.default for registration in registrations),
        "arduino": arduino,
        "noted": noted,
        "noted_index": next((op.index for op in graph.ops if noted and op.name == noted.op_name), 0),
        "registrations": [{"call": _call(registration, registration is noted)} for registration in registrations],
        "data_bytes": len(data),
        "rows": _hex_rows(data),
    }
    files = {
        f"{graph.name}.h": render("tflm/model.h.j2", context),
        f"{graph.name}.cpp": render("tflm/model.cpp.j2", context),
        f"{graph.name}_data.h": render("tflm/data.h.j2", context),
        f"{graph.name}_data.cpp": render("tflm/data.cpp.j2", context),
    }
    return ModelSource(
        name=graph.name,
        files=files,
        weight_symbols=frozenset({f"{graph.name}_data"}),
        weight_bytes=len(data),
        arena_bytes=arena.bytes,
        arena_alignment=TFLM_ARENA_ALIGNMENT,
        runtime="tflm",
    )


def _noted(registrations: Sequence[Registration]) -> Registration | None:
    """The operator whose first layer tells where the interpreter keeps all of them."""
    return next((registration for registration in registrations if registration.replaceable), None)


def _argument(registration: Registration, noted: bool) -> str:
    function = f"tflite::{registration.function}()"
    if noted:
        return f"Noting({function})"
    return "" if registration.default else function


def _call(registration: Registration, noted: bool) -> str:
    call = f"resolver.{registration.method}({_argument(registration, noted)})"
    return c_call("TF_LITE_ENSURE_STATUS", [call], "  ")


def _hex_rows(data: bytes) -> str:
    rows = (data[start : start + _BYTES_A_ROW] for start in range(0, len(data), _BYTES_A_ROW))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
