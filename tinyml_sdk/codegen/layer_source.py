"""Layers as C: a function with literal parameters for one that stands alone, arguments for those that share one.

An instance of a kernel for each layer lets the compiler write a version for that shape. Where there is nothing to gain
by it (`Layer.shared`), or nothing wanted (`--optimize size`), layers of one kernel share a function, and differ by a
struct of its arguments in flash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import DType, Graph, Tensor
from ..ops import Constant, Input, Layer, Output, Parameters, ParameterValue, Scratch, State
from ..ops.base import Argument
from ..plan import MemoryPlan
from .c_source import C_TYPES, c_call, struct_rows

__all__ = ["LayerSource", "constant_symbol", "layer_source", "runs", "tensor_symbol"]

_LARGEST_SHORT_OFFSET = 2**16 - 1


@dataclass(frozen=True)
class LayerSource:
    """What the template of the model's C file shows.

    Attributes:
        offset_type: The C type of offsets in the arena, for the arguments of shared functions.
        shared: The functions that serve several layers, in the order of their first layer.
        layers: All layers in the order in which they run.
    """

    offset_type: str
    shared: tuple[dict[str, Any], ...]
    layers: tuple[dict[str, Any], ...]


def constant_symbol(graph: Graph, layer: Layer, constant: Constant) -> str:
    """The C array of a layer's constant."""
    return f"{graph.name}_{layer.op.index}_{constant.name}"


def tensor_symbol(graph: Graph, tensor: Tensor) -> str:
    """The C array of a constant tensor."""
    return f"{graph.name}_tensor_{tensor.index}"


def runs(layer: Layer, plan: MemoryPlan) -> bool:
    """Whether the layer does anything: a copy onto itself does not."""
    if not layer.is_copy:
        return True
    offsets = plan.tensor_offsets
    return offsets.get(layer.op.inputs[0]) != offsets[layer.op.outputs[0]]


def layer_source(graph: Graph, layers: Sequence[Layer], plan: MemoryPlan, *, share_all: bool) -> LayerSource:
    """Every layer, and the functions that layers share.

    Args:
        share_all: Whether all layers of one kernel share a function, and not only those that lose nothing by it.
    """
    calls = [_Call(graph, layer, step, plan) for step, layer in enumerate(layers)]
    groups: dict[tuple[object, ...], list[_Call]] = {}
    for call in calls:
        if runs(call.layer, plan) and (share_all or call.layer.shared):
            groups.setdefault(call.signature, []).append(call)
    names: dict[tuple[object, ...], str] = {}
    for signature, members in groups.items():
        if len(members) > 1:
            base = members[0].layer.kernel.removeprefix("tinyml_")
            names[signature] = base if base not in names.values() else f"{base}_{len(names)}"
    return LayerSource(
        offset_type="uint16_t" if plan.arena_bytes <= _LARGEST_SHORT_OFFSET else "uint32_t",
        shared=tuple(_shared(groups[signature][0], name) for signature, name in names.items()),
        layers=tuple(_layer(call, names.get(call.signature)) for call in calls),
    )


class _Call:
    """A layer's call of its kernel: what it passes, as literals or as members of a struct."""

    def __init__(self, graph: Graph, layer: Layer, step: int, plan: MemoryPlan) -> None:
        self.graph, self.layer, self.step, self.plan = graph, layer, step, plan
        self.passed = [_Passed(self, argument) for argument in layer.arguments]

    @property
    def signature(self) -> tuple[object, ...]:
        """What two layers have in common that can share a function."""
        return (self.layer.kernel, *(passed.member for passed in self.passed))

    def tensor(self, argument: Input | Output | State) -> Tensor:
        of_op = self.layer.op.outputs if isinstance(argument, Output) else self.layer.op.inputs
        return self.graph.tensors[of_op[argument.index]]


class _Passed:
    """One argument of a call.

    Attributes:
        value: What the struct's member is initialized with.
        literal: The argument where it is written into the call.
    """

    def __init__(self, call: _Call, argument: Argument) -> None:
        self.value: ParameterValue
        self.offset_of: str | None = None
        if isinstance(argument, Parameters):
            self.value, self.literal = argument.fields, "&params"
            self.member = f"{argument.c_type} params", "&{}"
        elif isinstance(argument, Constant):
            self.value = self.literal = constant_symbol(call.graph, call.layer, argument)
            self.member = f"const {C_TYPES[argument.values.dtype.name]} *{argument.name}", "{}"
        elif isinstance(argument, Scratch):
            needed = bool(call.layer.scratch_bytes)
            self.value = call.plan.scratch_offsets[call.step] if needed else 0
            self.literal = f"arena + {self.value}" if needed else "NULL"
            self.member = "arena_offset scratch", "arena + {}"
        else:
            self._tensor(call, argument)

    def _tensor(self, call: _Call, argument: Input | Output | State) -> None:
        tensor, kind = call.tensor(argument), type(argument).__name__.lower()
        several = sum(type(other) is type(argument) for other in call.layer.arguments) > 1
        name = f"{kind}{argument.index + 1}" if several else kind
        c_type = C_TYPES[tensor.dtype.value]
        if tensor.is_constant:
            self.value = self.literal = tensor_symbol(call.graph, tensor)
            self.member = f"const {c_type} *{name}", "{}"
            return
        offset = call.plan.tensor_offsets[tensor.index]
        const = "const " if isinstance(argument, Input) else ""
        address = "arena + {}" if tensor.dtype is DType.INT8 else f"({const}{c_type} *)({const}void *)(arena + {{}})"
        self.value, self.literal = offset, address.format(offset)
        self.member = f"arena_offset {name}", address

    @property
    def name(self) -> str:
        """The struct's member."""
        return self.member[0].split()[-1].lstrip("*")

    @property
    def from_struct(self) -> str:
        """The argument where it comes from the struct."""
        return self.member[1].format(f"a->{self.name}")


def _shared(call: _Call, name: str) -> dict[str, Any]:
    """A function for several layers, and the struct of its arguments: offsets last, as they are the shortest."""
    members = sorted((passed.member[0] for passed in call.passed), key=lambda member: member.startswith("arena_"))
    return {
        "name": name,
        "kernel": call.layer.kernel,
        "members": members,
        "call": c_call(call.layer.kernel, [passed.from_struct for passed in call.passed], "  "),
    }


def _layer(call: _Call, shared: str | None) -> dict[str, Any]:
    graph, op = call.graph, call.layer.op
    shapes = [
        "x".join(str(size) for size in graph.tensors[index].shape) or "1" for index in (*op.inputs[:1], *op.outputs)
    ]
    parameters = next((argument for argument in call.layer.arguments if isinstance(argument, Parameters)), None)
    return {
        "index": op.index,
        "op": op.name,
        "symbol": f"layer_{op.index}_{op.name.lower()}",
        "shapes": " -> ".join(shapes),
        "macs": call.layer.macs,
        "runs": runs(call.layer, call.plan),
        "shared": shared,
        "arguments": struct_rows({passed.name: passed.value for passed in call.passed}, "    ") if shared else "",
        "params_type": parameters.c_type if parameters else None,
        "params": struct_rows(parameters.fields, "      ") if parameters and not shared else "",
        "call": c_call(call.layer.kernel, [passed.literal for passed in call.passed], "  "),
    }
