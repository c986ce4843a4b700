"""What every operator file provides, and what the rest of the package gets from it.

An operator reads an `OpView` (its op with the tensors resolved), checks everything, and answers with a `Layer`: the
kernel to call, its literal parameters, its constants, its cost and its memory rule. Planning and code generation work
on layers alone and know no operator by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..graph import ABSENT, DType, Graph, Op, Tensor
from .arithmetic import quantize_value

__all__ = [
    "Argument",
    "Constant",
    "Input",
    "KernelChoice",
    "KernelSharing",
    "Layer",
    "OpView",
    "Operator",
    "Optimize",
    "Output",
    "ParameterValue",
    "Parameters",
    "Scratch",
    "State",
]

Optimize = Literal["speed", "size"]

ParameterValue: TypeAlias = "int | float | str | tuple[int, ...] | Mapping[str, ParameterValue]"
"""A field of a kernel's parameter struct: a literal, the name of a C constant, an array or a nested struct."""

_QUANTIZE_HINT = "convert the model to full int8, inputs and outputs included (`inference_input_type = tf.int8`)"


# -- what a kernel is called with ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameters:
    """The kernel's parameter struct, passed by address: a C type and its fields, all literal, structs nested."""

    c_type: str
    fields: Mapping[str, ParameterValue]


@dataclass(frozen=True)
class Input:
    """The op's input tensor number `index`, in the arena or constant."""

    index: int


@dataclass(frozen=True)
class Output:
    """The op's output tensor number `index`."""

    index: int = 0


@dataclass(frozen=True, eq=False)
class Constant:
    """An array for the weights file, such as a bias or the requantization multipliers."""

    name: str
    values: npt.NDArray[np.generic]


@dataclass(frozen=True)
class Scratch:
    """The layer's scratch buffer in the arena, NULL for a layer that needs none."""


@dataclass(frozen=True)
class State:
    """The op's input tensor number `index`, a variable, which the kernel changes."""

    index: int


Argument = Parameters | Input | Output | Constant | Scratch | State


@dataclass(frozen=True)
class KernelChoice:
    """A kernel that was considered for a layer.

    Attributes:
        cost: Estimated instructions of one inference, None where it cannot compute the layer.
        taken: Whether it is the layer's.
        reason: Why, or why not.
        flash: Bytes of its constants, 0 where it cannot compute the layer.
        possible: Whether it could have been taken.
    """

    kernel: str
    cost: int | None
    taken: bool
    reason: str
    flash: int = 0
    possible: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """One op, ready to be placed in memory and written as C.

    Attributes:
        op: The op this layer computes.
        kernel: The C function; it is called with `arguments`, in order.
        header: The file of the kernel in firmware_templates/kernels.
        macs: Multiply-accumulates of one inference.
        lead: For each input (those past the end: None), the least distance in bytes by which the input must start
            above the output where the two overlap in memory, or None where they must not overlap. 0 lets the output
            take the input's place. The kernel's loop order decides it; see `overlap.py`.
        scratch_bytes: Memory the kernel needs while it runs.
        is_copy: The output's bytes are the input's: nothing runs where both lie at the same address.
        shared: One instance of the kernel serves all layers as fast as a version for each, as its inner loops are
            functions of their own.
        choices: The kernels that were considered, where there is more than one.
    """

    op: Op
    kernel: str
    header: str
    arguments: tuple[Argument, ...]
    macs: int = 0
    lead: tuple[int | None, ...] = ()
    scratch_bytes: int = 0
    is_copy: bool = False
    shared: bool = False
    choices: tuple[KernelChoice, ...] = ()

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The arrays this layer adds to the weights file."""
        return tuple(argument for argument in self.arguments if isinstance(argument, Constant))

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers whose kernels run: this one, unless it is several that run row by row (`plan/streams.py`)."""
        return (self,)

    def lead_of(self, index: int) -> int | None:
        """The lead of input `index`, None where the output must not overlap it."""
        return self.lead[index] if index < len(self.lead) else None


# -- what an operator sees ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KernelSharing:
    """What a firmware that shall be small asks of the choice of kernels.

    Attributes:
        kernels: Those that other layers have: their code is there anyway.
        price_of_byte: Instructions of an inference that a byte of code is worth; 0 where only speed counts.
    """

    kernels: frozenset[str] = frozenset()
    price_of_byte: float = 0.0


@dataclass(frozen=True, eq=False)
class OpView:
    """An op with its tensors resolved, and the checks that all operators share. Failures name op and field.

    Attributes:
        core_features: What kernels may use (`boards/cores.py`).
        optimize: What they are chosen for, see `selection.py`.
        without: Kernels that are not to be taken.
        only: The kernel that is to be taken, where one of the candidates is it.
        sharing: Whose code is there anyway, and what other code is worth.
    """

    graph: Graph
    op: Op
    core_features: frozenset[str] = field(default_factory=frozenset)
    optimize: Optimize = "speed"
    without: frozenset[str] = frozenset()
    only: str = ""
    sharing: KernelSharing = field(default_factory=KernelSharing)

    def fail(self, what: str, message: str, hint: str = "") -> ModelError:
        """A ModelError that names the file, this op and the field."""
        where = f"{self.graph.source}: op {self.op.index} ({self.op.name})"
        return ModelError(
            message,
            where=f"{where}: {what}" if what else where,
            hint=hint or "change the layer in the original model, or report the file as an issue",
        )

    def expect_counts(self, inputs: int | tuple[int, int], outputs: int = 1) -> None:
        """Check how many inputs (a number, or least and most) and outputs the op has."""
        least, most = (inputs, inputs) if isinstance(inputs, int) else inputs
        if not least <= len(self.op.inputs) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise self.fail("inputs", f"has {len(self.op.inputs)} inputs, not {wanted}")
        if len(self.op.outputs) != outputs:
            raise self.fail("outputs", f"has {len(self.op.outputs)} outputs, not {outputs}")

    def input(self, index: int, *dtypes: DType, rank: int | None = None) -> Tensor:
        """An input that must be there, of one of `dtypes` (int8 unless said) and, where given, of `rank`."""
        tensor = self.optional_input(index)
        if tensor is None:
            raise self.fail(f"input {index}", "is missing")
        self._expect(f"input {index}", tensor, dtypes or (DType.INT8,), rank)
        return tensor

    def activation(self, index: int, rank: int | None = None) -> Tensor:
        """An int8 input, computed or constant, with one scale for all its elements."""
        tensor = self.input(index, rank=rank)
        if tensor.quantization is not None and tensor.quantization.per_channel:
            raise self.fail(f"input {index}: quantization", "an activation cannot have a scale for each channel")
        return tensor

    def optional_input(self, index: int) -> Tensor | None:
        """An input that may be left out."""
        if index >= len(self.op.inputs) or self.op.inputs[index] == ABSENT:
            return None
        return self.graph.tensors[self.op.inputs[index]]

    def constant(self, index: int, *dtypes: DType, rank: int | None = None) -> npt.NDArray[np.generic]:
        """The values of an input that must be constant. Shape as the tensor's."""
        tensor = self.input(index, *dtypes, rank=rank)
        if tensor.data is None:
            raise self.fail(f"input {index}", "must be constant, but is computed by the model")
        return tensor.data

    def output(self, *dtypes: DType, rank: int | None = None, index: int = 0) -> Tensor:
        """An output of one of `dtypes` (int8 unless said)."""
        tensor = self.graph.tensors[self.op.outputs[index]]
        self._expect(f"output {index}", tensor, dtypes or (DType.INT8,), rank)
        return tensor

    def expect_shape(self, tensor: Tensor, shape: tuple[int, ...]) -> None:
        """Check that the file's output shape is the one that the op computes."""
        if tensor.shape != shape:
            raise self.fail("output 0: shape", f"is {list(tensor.shape)}, but the op computes {list(shape)}")

    def expect_same_quantization(self, what: str, tensor: Tensor, output: Tensor) -> None:
        """Check that stored values of a tensor mean what the output's do: TFLM does not rescale them for every op."""
        if (tensor.scale, tensor.zero_point) != (output.scale, output.zero_point):
            raise self.fail(
                f"{what}: quantization",
                f"scale {tensor.scale:g} and zero point {tensor.zero_point} differ from the output's "
                f"{output.scale:g} and {output.zero_point}",
                f"int8 {self.op.name} does not rescale: convert with TFLite's converter, which makes them the same",
            )

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer option within bounds."""
        value = self.op.options[name]
        if not isinstance(value, int) or not low <= value <= high:
            raise self.fail(name, f"is {value}, outside {low} to {high}")
        return value

    def activation_range(self, output: Tensor) -> tuple[int, int]:
        """The int8 clamp of the fused activation, as `CalculateActivationRangeQuantized` (kernel_util.cc) has it."""
        activation = self.op.options["fused_activation_function"]
        bounds = {"NONE": (None, None), "RELU": (0, None), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}
        if activation not in bounds:
            raise self.fail("fused_activation_function", f"{activation} cannot be fused in an int8 layer")
        low, high = bounds[str(activation)]
        clamp_low, clamp_high = -128, 127
        if low is not None:
            clamp_low = max(clamp_low, quantize_value(low, output.scale, output.zero_point))
        if high is not None:
            clamp_high = min(clamp_high, quantize_value(high, output.scale, output.zero_point))
        if clamp_low > clamp_high:
            raise self.fail("fused_activation_function", f"{activation} leaves no value in the output's range")
        return clamp_low, clamp_high

    def _expect(self, what: str, tensor: Tensor, dtypes: tuple[DType, ...], rank: int | None) -> None:
        if tensor.dtype not in dtypes:
            wanted = " or ".join(dtype.value for dtype in dtypes)
            raise self.fail(what, f"is {tensor.dtype.value}, not {wanted}", _QUANTIZE_HINT)
        if rank is not None and len(tensor.shape) != rank:
            raise self.fail(what, f"has shape {list(tensor.shape)}, not {rank} dimensions")
        if tensor.dtype is DType.INT8 and (tensor.quantization is None):
            raise self.fail(f"{what}: quantization", "has no scale and zero point", _QUANTIZE_HINT)
        if tensor.dtype is DType.INT8 and not tensor.is_constant and tensor.quantization.per_channel:  # type: ignore[union-attr]
            raise self.fail(f"{what}: quantization", "an activation cannot have a scale for each channel")


class Operator(ABC):
    """One TFLite operator. A new one is a file with a subclass, its kernel, and a line in `ops/__init__.py`."""

    name: ClassVar[str]
    """As in the schema's enum BuiltinOperator."""
    versions: ClassVar[tuple[int, int]]
    """The least and the highest operator version whose meaning this file implements."""
    resolver: ClassVar[str]
    """The method of TFLM's MicroMutableOpResolver that registers the operator."""

    @abstractmethod
    def lower(self, view: OpView) -> Layer:
        """Check the op and choose its kernel. Raises ModelError."""

    def checked_lower(self, view: OpView) -> Layer:
        """`lower`, behind the checks that hold for all operators."""
        least, highest = self.versions
        if not least <= view.op.version <= highest:
            raise view.fail(
                "version",
                f"is {view.op.version}; versions {least} to {highest} are implemented",
                "convert with a TensorFlow version between 2.4 and 2.21",
            )
        return self.lower(view)
