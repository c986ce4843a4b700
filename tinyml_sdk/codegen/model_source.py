"""Graph, layers and memory plan as C: the model library, runtime `aot`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..graph import DType, Graph, Tensor
from ..ops import Constant, Input, Layer, Optimize
from ..plan import MemoryPlan
from ..resources import templates_dir
from .c_source import C_TYPES, array_rows
from .layer_call import constant_symbol, tensor_symbol
from .layer_source import layer_source, runs
from .model_face import describe_tensor
from .templates import render

__all__ = ["ModelSource", "Optimize", "Runtime", "generate_model", "weight_bytes"]

Runtime = Literal["aot", "tflm"]
"""What runs a model: C generated for it, or TensorFlow Lite Micro's interpreter."""


@dataclass(frozen=True)
class ModelSource:
    """A model library: its files (path relative to its folder → text), and the names of its constant arrays.

    Attributes:
        name: The prefix of all its C symbols.
        files: `NAME.h`, `NAME.c`, `NAME_weights.h`, `NAME_weights.c` and the kernels that they use; of runtime `tflm`
            `NAME.h`, `NAME.cpp` and the file's bytes, `NAME_data.h` and `NAME_data.cpp`.
        weight_symbols: The arrays in flash, by which the ELF's flash is split into weights and code.
        weight_bytes: Their sum.
        arena_bytes: Memory that an inference needs, aligned to `arena_alignment`.
        runtime: What runs the model.
    """

    name: str
    files: Mapping[str, str]
    weight_symbols: frozenset[str]
    weight_bytes: int
    arena_bytes: int
    arena_alignment: int
    runtime: Runtime = "aot"


@dataclass(frozen=True)
class _Array:
    symbol: str
    c_type: str
    elements: int
    rows: str
    comment: str


def generate_model(
    graph: Graph, layers: Sequence[Layer], plan: MemoryPlan, optimize: Optimize = "speed"
) -> ModelSource:
    """Write a model as C99 without heap, interpreter or dependencies.

    The same graph, layers and plan always give the same bytes.
    """
    arrays = [
        _Array(symbol, C_TYPES[values.dtype.name], values.size, array_rows(values), comment)
        for symbol, (values, comment) in _constants(graph, layers).items()
    ]
    headers = sorted({part.header for layer in layers if runs(layer, plan) for part in (layer, *layer.parts)})
    context: dict[str, Any] = {
        "version": __version__,
        "name": graph.name,
        "upper": graph.name.upper(),
        "source": graph.source,
        "sha256": graph.sha256,
        "optimize": optimize,
        "plan": plan,
        "macs": sum(layer.macs for layer in layers),
        "inputs": [_port(tensor, plan) for tensor in graph.input_tensors],
        "outputs": [_port(tensor, plan) for tensor in graph.output_tensors],
        "states": [_state(graph.tensors[index], plan) for index in graph.variables if index in plan.tensor_offsets],
        "headers": headers,
        **vars(layer_source(graph, layers, plan, share_all=optimize == "size")),
        "arrays": arrays,
    }
    files = {
        f"{graph.name}.h": render("aot/model.h.j2", context),
        f"{graph.name}.c": render("aot/model.c.j2", context),
        f"{graph.name}_weights.h": render("aot/weights.h.j2", context),
        f"{graph.name}_weights.c": render("aot/weights.c.j2", context),
    }
    for header in _with_includes(headers):
        files[f"kernels/{header}"] = (templates_dir() / "kernels" / header).read_text(encoding="utf-8")
    return ModelSource(
        name=graph.name,
        files=files,
        weight_symbols=frozenset(array.symbol for array in arrays),
        weight_bytes=weight_bytes(graph, layers),
        arena_bytes=plan.arena_bytes,
        arena_alignment=plan.alignment,
    )


def _with_includes(headers: Sequence[str]) -> list[str]:
    """The kernel headers and all that they include, sorted."""
    found: set[str] = set()
    waiting = list(headers)
    while waiting:
        header = waiting.pop()
        if header not in found:
            found.add(header)
            text = Path(templates_dir() / "kernels" / header).read_text(encoding="utf-8")
            folder = posixpath.dirname(header)
            included = re.findall(r'^#include "([^"]+)"', text, re.MULTILINE)
            waiting += [posixpath.normpath(posixpath.join(folder, path)) for path in included]
    return sorted(found)


# -- constants ----------------------------------------------------------------------------------------------------


def weight_bytes(graph: Graph, layers: Sequence[Layer]) -> int:
    """What the constants of a model take in flash, without writing them as C."""
    return sum(values.nbytes for values, _ in _constants(graph, layers).values())


def _constants(graph: Graph, layers: Sequence[Layer]) -> dict[str, tuple[npt.NDArray[np.generic], str]]:
    """Every constant array once, in the order of the layers that read them: symbol → values and a comment."""
    constants: dict[str, tuple[npt.NDArray[np.generic], str]] = {}
    for layer in [part for each in layers for part in each.parts]:
        for argument in layer.arguments:
            if isinstance(argument, Constant):
                symbol, values, what = constant_symbol(graph, layer, argument), argument.values, argument.name
            elif isinstance(argument, Input):
                tensor = graph.tensors[layer.op.inputs[argument.index]]
                if tensor.data is None:
                    continue
                symbol, values, what = tensor_symbol(graph, tensor), tensor.data, f"input {argument.index}"
            else:
                continue
            constants[symbol] = values, f"{what} of layer {layer.op.index}, {layer.op.name}"
    return constants


# -- memory -------------------------------------------------------------------------------------------------------


def _state(tensor: Tensor, plan: MemoryPlan) -> dict[str, int]:
    """A variable as init resets it: to real zero, as TFLM's ResetTensorData does (micro_interpreter_graph.cc)."""
    is_int8 = tensor.dtype is DType.INT8 and tensor.quantization is not None
    return {
        "offset": plan.tensor_offsets[tensor.index],
        "bytes": tensor.bytes,
        "value": tensor.zero_point if is_int8 else 0,
    }


def _port(tensor: Tensor, plan: MemoryPlan) -> dict[str, Any]:
    return {**describe_tensor(tensor), "offset": plan.tensor_offsets[tensor.index]}
