"""Runs in the worker: which layers get weights of four bits, and what that does to each.

TensorFlow Lite Micro has int4 weights for convolutions, depthwise ones, and fully connected layers with one scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, ToolError
from ..graph import ABSENT, Graph, Op, Tensor, parse_graph
from ..graph.int4_file import QuantizedConstant, with_int4_weights
from ..progress import Progress
from .checking import LayerNames
from .float_runner import FloatRunner, Samples
from .int4_weights import int4_weights, quantized_bias
from .job import FIRST, LAST, Job
from .noise import signal_to_noise
from .result import LayerWeights

__all__ = ["Kernel", "choose_layers", "find_kernels", "make_int4"]

Array = npt.NDArray[Any]

_WITH_INT4 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_HALF_A_STEP = 0.51  # and what float32 adds to it
_ON_GRID = 1e-3  # of a step: trained weights are that close to an integer


@dataclass(frozen=True, eq=False)
class Kernel:
    """The weights of one layer, or of several that share them.

    Attributes:
        tensor: Of the int8 model.
        uses: The operators that read it, each in the int8 model and in the float model.
        layer: What people call it.
        values: The float weights.
        int4: The same in four bits.
    """

    tensor: Tensor
    uses: tuple[tuple[Op, Op], ...]
    layer: str
    values: Array
    int4: QuantizedConstant

    @property
    def op_name(self) -> str:
        """The operator that reads it."""
        return self.uses[0][0].name


def make_int4(
    content: bytes,
    calibrated: bytes,
    samples: Samples,
    names: LayerNames,
    job: Job,
    trained: frozenset[str] | None,
    progress: Progress,
) -> tuple[bytes, tuple[LayerWeights, ...]]:
    """Give the layers of an int8 model that may have them weights of four bits.

    Args:
        content: The int8 .tflite file.
        calibrated: The float one that it was made from.
        samples: To measure each layer's noise with: for each input float32 (N, *shape).
        names: Of the layers.
        job: Which layers stay int8.
        trained: Layers that quantization-aware training gave four bits; None for a model without such training.
        progress: Called with a stage and how many of its steps are over.

    Returns:
        The file, and what became of each layer's weights.

    Raises:
        InputError: no layer is left, or one that is named does not exist or was trained otherwise.
        ToolError: the converter lost the float weights, or those of training.
    """
    quantized, original = parse_graph(content, job.name), parse_graph(calibrated, job.name)
    kernels = find_kernels(quantized, original, names)
    noise = {} if trained is not None else _measured(kernels, calibrated, samples, original, progress)
    layers = choose_layers(kernels, noise, job, trained)
    chosen = [kernel for kernel, layer in zip(kernels, layers, strict=True) if layer.bits == 4]
    if trained is not None:
        _check_on_grid(chosen, job)
    from tensorflow.lite.python import schema_py_generated as schema

    progress("writing int4 weights", 0, 1)
    biases = dict(_biases(chosen, quantized, original))
    ops = {op.index: op.name for kernel in chosen for op, _ in kernel.uses}
    weights = {kernel.tensor.index: kernel.int4 for kernel in chosen}
    return with_int4_weights(content, weights, ops, biases, schema), (*layers, *_without_int4(quantized, names))


# -- what there is ------------------------------------------------------------------------------------------------


def find_kernels(quantized: Graph, original: Graph, names: LayerNames) -> list[Kernel]:
    """The weights that may have four bits, in the order in which they are first read.

    An operator's float weights are those of the same operator and shape that its int8 weights are rounded from.

    Raises:
        ToolError: there are none.
    """
    floats = [op for op in original.ops if _constant_weights(original, op) is not None]
    found: dict[int, Kernel] = {}
    for op in quantized.ops:
        tensor = _constant_weights(quantized, op)
        if tensor is None:
            continue
        source = next((other for other in floats if _is_source(op, tensor, other, original)), None)
        if source is None:
            raise ToolError(
                "the converter left no trace of the float weights",
                where=f"{quantized.source}: op {op.index} ({op.name})",
                hint="use --weights int8, and report the model",
            )
        floats.remove(source)
        if tensor.index in found:
            first = found[tensor.index]
            found[tensor.index] = replace(first, uses=(*first.uses, (op, source)))
        else:
            found[tensor.index] = _kernel(quantized, original, op, source, names)
    return list(found.values())


def _constant_weights(graph: Graph, op: Op) -> Tensor | None:
    if op.name not in _WITH_INT4:
        return None
    tensor = graph.tensors[op.inputs[1]]
    return tensor if tensor.is_constant else None


def _is_source(op: Op, tensor: Tensor, other: Op, original: Graph) -> bool:
    source = original.tensors[other.inputs[1]]
    if op.name != other.name or source.shape != tensor.shape:
        return False
    assert source.data is not None
    assert tensor.data is not None
    step = _steps(tensor)
    distance = np.abs(source.data.astype(np.float64) - tensor.data.astype(np.float64) * step)
    return bool((distance <= _HALF_A_STEP * step).all())


def _steps(tensor: Tensor) -> Array:
    """The scales of int8 weights, in a shape that broadcasts to theirs."""
    assert tensor.quantization is not None
    shape = [1] * len(tensor.shape)
    shape[tensor.quantization.axis if tensor.quantization.per_channel else 0] = -1
    return np.asarray(tensor.quantization.scale, np.float64).reshape(shape)


def _kernel(quantized: Graph, original: Graph, op: Op, source: Op, names: LayerNames) -> Kernel:
    tensor = quantized.tensors[op.inputs[1]]
    values = original.tensors[source.inputs[1]].data
    assert values is not None
    assert tensor.quantization is not None
    one_scale = op.name == "FULLY_CONNECTED" or not tensor.quantization.per_channel
    dead = np.asarray(tensor.quantization.scale, np.float64)
    found = int4_weights(
        values,
        None if one_scale else tensor.quantization.axis,
        bias=_bias(original, source),
        input_scale=quantized.tensors[op.inputs[0]].scale,
        dead=dead.max(keepdims=True) if one_scale else dead,
    )
    return Kernel(tensor, ((op, source),), names.label(original.tensors[source.outputs[0]].name), values, found)


def _bias(graph: Graph, op: Op) -> Array | None:
    index = op.inputs[2] if len(op.inputs) > 2 else ABSENT
    return None if index == ABSENT else graph.tensors[index].data


def _biases(kernels: Iterable[Kernel], quantized: Graph, original: Graph) -> Iterable[tuple[int, QuantizedConstant]]:
    for kernel in kernels:
        for op, source in kernel.uses:
            stored, bias = _bias(quantized, op), _bias(original, source)
            if stored is None:
                continue
            real = np.zeros(stored.shape) if bias is None else bias
            input_scale = quantized.tensors[op.inputs[0]].scale
            yield op.index, quantized_bias(real, input_scale, kernel.int4.scale)


def _without_int4(graph: Graph, names: LayerNames) -> Iterable[LayerWeights]:
    """Layers with weights for which there is nothing but int8."""
    for op in graph.ops:
        read = [graph.tensors[index] for index in op.inputs if index != ABSENT]
        matrices = [tensor for tensor in read if tensor.is_constant and len(tensor.shape) > 1]
        if op.name in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "TRANSPOSE_CONV") and matrices:
            label = names.label(graph.tensors[op.outputs[0]].name)
            why = "TensorFlow Lite Micro has no other weights for it"
            yield LayerWeights(label, op.name, 8, sum(tensor.elements for tensor in matrices), None, why)


# -- the choice ---------------------------------------------------------------------------------------------------


def choose_layers(
    kernels: Sequence[Kernel], noise: Mapping[int, float], job: Job, trained: frozenset[str] | None
) -> list[LayerWeights]:
    """What becomes of each kernel.

    Args:
        kernels: All of them.
        noise: Signal-to-noise by index of the tensor, where it was measured.
        job: Which layers stay int8.
        trained: As for `make_int4`.

    Raises:
        InputError: as for `make_int4`.
    """
    if not kernels:
        raise InputError(
            "has no layer whose weights could be int4",
            where=job.name,
            hint="convolutions, depthwise ones and dense layers can; use --weights int8",
        )
    kept = _named(kernels, job)
    layers = []
    for position, kernel in enumerate(kernels):
        snr = noise.get(kernel.tensor.index)
        why = ""
        if position in kept:
            why = "asked for"
        elif trained is not None and kernel.layer not in trained:
            why = "as trained"
        elif job.min_snr is not None and snr is not None and snr < job.min_snr:
            why = f"under {job.min_snr:g} dB in int4"
        if position in kept and trained is not None and kernel.layer in trained:
            raise InputError(
                "was trained for int4 weights",
                where=f"{job.name}: layer {kernel.layer!r}",
                hint="do not keep it int8, or train again with it kept",
            )
        size = int(kernel.values.size)
        decibels = None if snr is None else round(snr, 2)
        layers.append(LayerWeights(kernel.layer, kernel.op_name, 8 if why else 4, size, decibels, why))
    if all(layer.bits == 8 for layer in layers):
        raise InputError(
            f"no layer is left for int4 weights: {_reasons(layers)}",
            where=job.name,
            hint="keep fewer layers int8, lower --min-snr, or use --weights int8",
        )
    return layers


def _named(kernels: Sequence[Kernel], job: Job) -> set[int]:
    """Positions of the layers that shall stay int8."""
    positions: dict[str, set[int]] = {}
    for position, kernel in enumerate(kernels):
        positions.setdefault(kernel.layer, set()).add(position)
    words = {FIRST: {0}, LAST: {len(kernels) - 1}} | positions
    for name in job.keep_int8:
        if name not in words:
            raise InputError(
                f"there is no layer {name!r} with weights to keep int8",
                where=job.name,
                hint=f"there are {', '.join(positions)}; {FIRST} and {LAST} stand for the ends",
            )
    return set().union(*(words[name] for name in job.keep_int8))


def _reasons(layers: Sequence[LayerWeights]) -> str:
    told = [f"{layer.name} ({layer.kept})" for layer in layers[:3]]
    return ", ".join(told) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")


def _check_on_grid(kernels: Iterable[Kernel], job: Job) -> None:
    for kernel in kernels:
        distance = np.abs(kernel.values - kernel.int4.values * kernel.int4.step) / kernel.int4.step
        if distance.max() > _ON_GRID:
            raise ToolError(
                f"the int4 weights that training found got lost: one is {distance.max():.2g} of a step off",
                where=f"{job.name}: layer {kernel.layer!r}",
                hint="report the model; to go on without them, quantize the model as it was before training",
            )


# -- the noise of each layer --------------------------------------------------------------------------------------


def _measured(
    kernels: Sequence[Kernel], calibrated: bytes, samples: Samples, original: Graph, progress: Progress
) -> dict[int, float]:
    """What four bits do to a layer by themselves: signal-to-noise of its output, all else being float."""
    outputs = {kernel.tensor.index: original.tensors[kernel.uses[0][1].outputs[0]].name for kernel in kernels}
    names = dict.fromkeys(outputs.values())
    exact = FloatRunner(calibrated, samples).keep(names, len(samples[0]))
    found = {}
    for number, kernel in enumerate(kernels):
        progress("measuring int4 layers", number, len(kernels))
        changed = _with_weights(calibrated, {source.inputs[1] for _, source in kernel.uses}, kernel.int4.real)
        name = outputs[kernel.tensor.index]
        rounded = FloatRunner(changed, samples).keep({name: None}, len(samples[0]))
        found[kernel.tensor.index] = signal_to_noise(exact[name], rounded[name])
    return found


def _with_weights(calibrated: bytes, tensors: Iterable[int], values: Array) -> bytes:
    """The float file with other weights in place of those of some tensors."""
    from tensorflow.lite.python import schema_py_generated as schema

    file = bytearray(calibrated)
    root: Any = schema.Model.GetRootAs
    model = root(file, 0)
    for index in tensors:
        view = model.Buffers(model.Subgraphs(0).Tensors(index).Buffer()).DataAsNumpy()
        view[:] = values.astype("<f4").reshape(-1).view(np.uint8)
    return bytes(file)
