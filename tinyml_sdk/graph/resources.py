"""Resource variables, with which streaming models keep a window of the past: here they become variables of the graph.

The converter writes a variable as a handle (VAR_HANDLE), read and assigned by ops of their own, and its first value as
a second subgraph that CALL_ONCE runs. Of all that, what remains is a tensor that keeps its bytes between inferences,
and is written by the op that computes its next value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from .model import Graph, Op, Tensor

__all__ = ["HANDLE_OPS", "without_resources"]

HANDLE_OPS = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


@dataclass(frozen=True)
class _Access:
    """A READ_VARIABLE or ASSIGN_VARIABLE: which variable, and the tensor it is read into or assigned from."""

    op: Op
    variable: str
    tensor: int


def without_resources(graph: Graph, subgraphs: Mapping[int, Graph]) -> Graph:
    """The graph with its resource variables as `Graph.variables`.

    Args:
        graph: The main subgraph.
        subgraphs: The others by their number.

    Raises:
        ModelError: a variable starts with something else than real zero, or is used in a way that is not supported.
    """
    if not any(op.name in HANDLE_OPS for op in graph.ops):
        return graph
    for op in graph.ops:
        if op.name == "CALL_ONCE":
            _check_initialization(graph, op, subgraphs)
    return _Rewriting(graph).graph()


def _fail(graph: Graph, op: Op, message: str) -> ModelError:
    return ModelError(
        message,
        where=f"{graph.source}: op {op.index} ({op.name})",
        hint="resource variables are supported as streaming layers use them: zero at first, read, then assigned once",
    )


def _accesses(graph: Graph) -> list[_Access]:
    """Every access of a variable in the order of the file."""
    names: dict[int, str] = {}
    accesses = []
    for op in graph.ops:
        if op.name not in HANDLE_OPS or op.name == "CALL_ONCE":
            continue
        inputs, outputs = {"VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0)}[op.name]
        if (len(op.inputs), len(op.outputs)) != (inputs, outputs):
            raise _fail(graph, op, f"has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
        if op.name == "VAR_HANDLE":
            names[op.outputs[0]] = "/".join(str(op.options.get(part, "")) for part in ("container", "shared_name"))
            continue
        if op.inputs[0] not in names:
            raise _fail(graph, op, "its first input is no variable's handle")
        tensor = op.outputs[0] if op.name == "READ_VARIABLE" else op.inputs[1]
        accesses.append(_Access(op, names[op.inputs[0]], tensor))
    return accesses


def _check_initialization(graph: Graph, call: Op, subgraphs: Mapping[int, Graph]) -> None:
    """All that it may do is set variables to real zero, which is what NAME_init() does."""
    number = call.options["init_subgraph_index"]
    initial = subgraphs.get(number) if isinstance(number, int) else None
    if initial is None:
        raise _fail(graph, call, f"there is no subgraph {number} to call")
    for op in initial.ops:
        if op.name not in ("VAR_HANDLE", "ASSIGN_VARIABLE"):
            raise _fail(graph, call, f"calls {op.name}; only variables can be set before the first inference")
    for access in _accesses(initial):
        value = initial.tensors[access.tensor]
        if value.data is None or np.any(value.data != _zero(value)):
            raise _fail(graph, call, f"variable {access.variable} starts with something else than zero")


def _zero(tensor: Tensor) -> int:
    return tensor.zero_point if tensor.quantization is not None else 0


class _Rewriting:
    """Puts one tensor in place of all that is read of a variable, and lets the op before the assignment write it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._accesses = _accesses(graph)
        self._reads = [access for access in self._accesses if access.op.name == "READ_VARIABLE"]
        self._assignments = [access for access in self._accesses if access.op.name == "ASSIGN_VARIABLE"]
        # The first tensor that a variable is read into stands for it.
        self._variable = {access.variable: access.tensor for access in reversed(self._reads)}
        self._alias = {access.tensor: self._variable[access.variable] for access in self._reads}

    def graph(self) -> Graph:
        self._check()
        direct = self._written_directly()
        ops = []
        for op in self._graph.ops:
            inputs = tuple(self._alias.get(index, index) for index in op.inputs)
            if op.name == "ASSIGN_VARIABLE":
                variable = next(access.variable for access in self._assignments if access.op is op)
                if op.inputs[1] not in direct and variable in self._variable:
                    ops.append(replace(op, inputs=inputs[1:], outputs=(self._variable[variable],)))
            elif op.name not in HANDLE_OPS:
                ops.append(replace(op, inputs=inputs, outputs=tuple(direct.get(index, index) for index in op.outputs)))
        variables = (*self._graph.variables, *dict.fromkeys(self._variable.values()))
        outputs = tuple(self._alias.get(index, index) for index in self._graph.outputs)
        return replace(self._graph, ops=tuple(ops), outputs=outputs, variables=variables)

    def _check(self) -> None:
        """One assignment, of the same kind of tensor, behind all that is computed from the value before it."""
        assigned: dict[str, _Access] = {}
        for access in self._assignments:
            if access.variable in assigned:
                raise _fail(self._graph, access.op, f"variable {access.variable} is assigned twice")
            assigned[access.variable] = access
        for access in self._accesses:
            if access.variable not in self._variable:
                continue
            this, other = (self._graph.tensors[index] for index in (access.tensor, self._variable[access.variable]))
            if (this.shape, this.dtype, this.quantization) != (other.shape, other.dtype, other.quantization):
                raise _fail(self._graph, access.op, f"variable {access.variable} has two shapes or quantizations")
        for op in self._graph.ops:
            for index in op.inputs:
                for access in self._reads:
                    last = assigned.get(access.variable)
                    if access.tensor == index and last is not None and op.index > last.op.index:
                        raise _fail(self._graph, op, f"needs variable {access.variable} after it was assigned")
        for access in self._reads:
            if access.tensor in self._graph.outputs:
                raise _fail(self._graph, access.op, "is an output of the model")

    def _written_directly(self) -> dict[int, int]:
        """Assigned tensors that nothing else reads, and whose op does not read the variable itself → the variable."""
        direct = {}
        readers: Sequence[int] = [index for op in self._graph.ops for index in op.inputs]
        for access in self._assignments:
            writer = next((op for op in self._graph.ops if access.tensor in op.outputs), None)
            variable = self._variable.get(access.variable)
            if variable is None or writer is None or writer.name in HANDLE_OPS:
                continue
            reads = {self._alias.get(index, index) for index in writer.inputs}
            # Between the two, the old value may still be needed.
            waiting = any(
                self._alias.get(index, index) == variable
                for op in self._graph.ops
                if writer.index < op.index < access.op.index
                for index in op.inputs
                if op.name not in HANDLE_OPS
            )
            alone = readers.count(access.tensor) == 1 and access.tensor not in self._graph.outputs
            if alone and variable not in reads and not waiting and len(writer.outputs) == 1:
                direct[access.tensor] = variable
        return direct
