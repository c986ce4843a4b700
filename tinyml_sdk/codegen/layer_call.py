"""A layer's call of its kernel: what it passes, as literals or as members of a struct."""

from __future__ import annotations

from ..graph import DType, Graph, Tensor
from ..ops import Constant, Input, Layer, Output, Parameters, ParameterValue, Scratch, State
from ..ops.base import Argument
from ..plan import MemoryPlan
from .c_source import C_TYPES

__all__ = ["LayerCall", "PassedArgument", "constant_symbol", "layer_symbol", "tensor_symbol"]


def constant_symbol(graph: Graph, layer: Layer, constant: Constant) -> str:
    """The C array of a layer's constant."""
    return f"{graph.name}_{layer.op.index}_{constant.name}"


def tensor_symbol(graph: Graph, tensor: Tensor) -> str:
    """The C array of a constant tensor."""
    return f"{graph.name}_tensor_{tensor.index}"


def layer_symbol(layer: Layer) -> str:
    """The function or the arguments of a layer."""
    return f"layer_{layer.op.index}_{layer.op.name.lower()}"


class LayerCall:
    """A layer, and each of its arguments.

    Args:
        scratch: Offset of its scratch memory in the arena.
        streamed: Whether a stream calls it: then the rows that it reads and writes lie where `rows` says.
    """

    def __init__(self, graph: Graph, layer: Layer, plan: MemoryPlan, scratch: int, *, streamed: bool = False) -> None:
        self.graph, self.layer, self.plan = graph, layer, plan
        self.scratch, self.streamed = scratch, streamed
        self.passed = [PassedArgument(self, argument) for argument in layer.arguments]

    @property
    def signature(self) -> tuple[object, ...]:
        """What two layers have in common that can share a function."""
        return (self.layer.kernel, *(passed.member for passed in self.passed))

    def tensor(self, argument: Input | Output | State) -> Tensor:
        """The tensor that is passed."""
        of_op = self.layer.op.outputs if isinstance(argument, Output) else self.layer.op.inputs
        return self.graph.tensors[of_op[argument.index]]


class PassedArgument:
    """One argument of a call.

    Attributes:
        value: What the struct's member is initialized with.
        literal: The argument where it is written into the call.
        rows: In a stream, which of the rows' places it is, empty for what is no tensor in the arena.
    """

    def __init__(self, call: LayerCall, argument: Argument) -> None:
        self.value: ParameterValue
        self.rows = ""
        if isinstance(argument, Parameters):
            self.value, self.literal = argument.fields, "&params"
            self.member = f"{argument.c_type} params", "&{}"
        elif isinstance(argument, Constant):
            self.value = self.literal = constant_symbol(call.graph, call.layer, argument)
            self.member = f"const {C_TYPES[argument.values.dtype.name]} *{argument.name}", "{}"
        elif isinstance(argument, Scratch):
            needed = bool(call.layer.scratch_bytes)
            self.value = call.scratch if needed else 0
            self.literal = f"arena + {self.value}" if needed else "NULL"
            self.member = "arena_offset scratch", "arena + {}"
        else:
            self._tensor(call, argument)

    def _tensor(self, call: LayerCall, argument: Input | Output | State) -> None:
        tensor, kind = call.tensor(argument), type(argument).__name__.lower()
        several = sum(type(other) is type(argument) for other in call.layer.arguments) > 1
        name = f"{kind}{argument.index + 1}" if several else kind
        c_type = C_TYPES[tensor.dtype.value]
        if tensor.is_constant:
            self.value = self.literal = tensor_symbol(call.graph, tensor)
            self.member = f"const {c_type} *{name}", "{}"
            return
        const = "const " if isinstance(argument, Input) else ""
        address = "arena + {}" if tensor.dtype is DType.INT8 else f"({const}{c_type} *)({const}void *)(arena + {{}})"
        if call.streamed:
            self.rows = "output" if isinstance(argument, Output) else f"inputs[{argument.index}]"
            self.value, self.literal = 0, address.format(f"rows->{self.rows}")
        else:
            offset = call.plan.tensor_offsets[tensor.index]
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
