"""A model built with some kernels, run in the builtin emulator, compared with TensorFlow Lite Micro and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from tinyml_sdk import Inspection, inspect_model
from tinyml_sdk.bench.check import compare_outputs
from tinyml_sdk.bench.cycles import EstimatedCycles, count_classes, estimate_cycles
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.bench.session import Measurement, first_divergent_layer, measure
from tinyml_sdk.codegen import BUILD_FOLDER, generate_model, generate_project, write_folder
from tinyml_sdk.ops import Layer
from tinyml_sdk.plan import plan_memory
from tinyml_sdk.targets import open_target
from tinyml_sdk.toolchains import BuildJob, get_toolchain

from .bakenn_model import bakenn_sources
from .cmsis_nn import DEFINES, GLUE, INCLUDE_DIRS, cmsis_nn_layers, cmsis_nn_sources

__all__ = ["Counted", "LayerCount", "Setting", "measure_bakenn", "measure_cmsis_nn", "measure_ours"]


@dataclass(frozen=True)
class Setting:
    """What both sides have in common."""

    board: str = "mps2-an386"
    toolchain: str = "zig"


@dataclass(frozen=True)
class LayerCount:
    """One layer: its kernel, multiply-accumulates and instructions of an inference, in all and by class."""

    index: int
    op: str
    kernel: str
    shape: str
    outputs: int
    macs: int
    count: int
    mix: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What one inference costs with some kernels.

    Attributes:
        layers: Empty where the code cannot be run layer by layer.
        total: Instructions around one invoke, the median over eight inputs.
        cycles: The estimate of `tinyml bench`.
        equal: Whether every output byte over eight inputs, and every layer's output for one of them, is TFLM's.
        differs_at: The first layer whose output is not, where that is known.
    """

    kernels: str
    total: int
    cycles: EstimatedCycles | None
    equal: bool
    differs_at: int | None
    layers: tuple[LayerCount, ...]


@dataclass(frozen=True)
class _Foreign:
    """What is built besides our own code: files to add by path in the project, files to replace, and how."""

    added: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    include_dirs: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def measure_ours(model: Path, setting: Setting, *, inputs: int = 8) -> Counted:
    """With the kernels that `tinyml bench` takes. A sweep over many small models may do with fewer inputs."""
    return _measure("ours", model, inspect_model(model, setting.board, streams=False), setting, _Foreign(), inputs)


def measure_cmsis_nn(model: Path, setting: Setting, level: str) -> Counted:
    """With CMSIS-NN's, on the same layers: those of the file without its constant channels, as ours are.

    Args:
        level: The optimization that its library is compiled with, such as `-O3`.
    """
    inspection = inspect_model(model, setting.board, streams=False)
    assert inspection.board is not None
    layers = cmsis_nn_layers(inspection.graph, inspection.layers, inspection.board.core_spec)
    theirs = replace(inspection, layers=layers, plan=plan_memory(inspection.graph, layers))
    foreign = _Foreign(
        added={**cmsis_nn_sources(), "model/cmsis_nn.h": GLUE.read_text(encoding="utf-8")},
        include_dirs=INCLUDE_DIRS,
        defines=DEFINES,
        flags=(level,),
    )
    return _measure(f"CMSIS-NN {level}", model, theirs, setting, foreign)


def measure_bakenn(model: Path, setting: Setting, policy: str) -> Counted:
    """bakeNN's generated code, as a whole: it has no way to run a single layer. Two inputs, as it is slow.

    Raises:
        bakenn.BakeNNError: it refuses the file.
    """
    inspection = inspect_model(model, setting.board)
    with tempfile.TemporaryDirectory() as folder:
        added, replaced = bakenn_sources(model.read_bytes(), inspection.graph.name, policy, Path(folder))
    if policy == "CMSIS-NN":
        added |= cmsis_nn_sources()
    foreign = _Foreign(added, replaced, ("bakenn", *INCLUDE_DIRS), DEFINES, ("-std=c11",))
    return _measure(f"bakeNN, {policy}", model, inspection, setting, foreign, inputs=2)


def _measure(
    name: str, model: Path, inspection: Inspection, setting: Setting, foreign: _Foreign, inputs: int = 8
) -> Counted:
    samples = check_inputs(inspection.graph.input_tensors, inputs)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "p"
        elf = _build(inspection, folder, setting, foreign)
        assert inspection.board is not None
        target = stack.enter_context(open_target(None, inspection.board))
        reference = open_reference(model, inspection, stack)
        measured = measure(target, elf, inspection.graph, inspection.board, samples, len(samples), _silent)
        check = compare_outputs(reference.name, reference.run(samples), measured.outputs)
        by_layer = not foreign.replaced
        differs_at = None
        if by_layer and len(inspection.layers) > 1:
            differs_at = first_divergent_layer(target, elf, inspection, reference, samples[0])
        return Counted(
            kernels=name,
            total=sorted(measured.counts)[len(measured.counts) // 2],
            cycles=_cycles(inspection, measured),
            equal=check.bit_exact and differs_at is None,
            differs_at=differs_at,
            layers=_layers(inspection, measured) if by_layer else (),
        )


def _build(inspection: Inspection, folder: Path, setting: Setting, foreign: _Foreign) -> Path:
    graph, board = inspection.graph, inspection.board
    assert board is not None
    source = generate_model(graph, inspection.layers, inspection.plan)
    project = generate_project(graph, source, board, "speed")
    files = {**project.files, **foreign.added, **foreign.replaced}
    if "model/cmsis_nn.h" in files:
        main = f"model/{source.name}.c"
        files[main] = files[main].replace("#include", '#include "cmsis_nn.h"\n#include', 1)
    write_folder(folder, files, project.manifest)
    job = BuildJob(
        root=folder,
        sources=(*project.sources, *(path for path in foreign.added if path.endswith(".c"))),
        include_dirs=(*project.include_dirs, *foreign.include_dirs),
        linker_script=project.linker_script,
        board=board,
        optimize="speed",
        output=folder / BUILD_FOLDER / "firmware.elf",
        defines=foreign.defines,
        flags=foreign.flags,
    )
    return get_toolchain(setting.toolchain).build(job).elf


def _cycles(inspection: Inspection, measured: Measurement) -> EstimatedCycles | None:
    board = inspection.board
    assert board is not None
    return estimate_cycles(
        board.core,
        board.clock_hz,
        measured.counts[0],
        measured.executed,
        measured.executed_layers,
        measured.layer_counts if measured.executed_layers else (),
    )


def _layers(inspection: Inspection, measured: Measurement) -> tuple[LayerCount, ...]:
    executed = measured.executed_layers or ((),) * len(measured.layer_counts)
    return tuple(
        LayerCount(
            index=layer.op.index,
            op=layer.op.name,
            kernel=layer.kernel,
            shape=_shape(inspection, layer),
            outputs=inspection.graph.tensors[layer.op.outputs[0]].elements,
            macs=layer.macs,
            count=count,
            mix=count_classes(blocks) if blocks else {},
        )
        for layer, count, blocks in zip(inspection.layers, measured.layer_counts, executed, strict=True)
    )


def _shape(inspection: Inspection, layer: Layer) -> str:
    tensors = inspection.graph.tensors
    shapes = [tensors[index].shape for index in (layer.op.inputs[0], layer.op.outputs[0])]
    return " → ".join("x".join(map(str, shape[1:] or shape)) for shape in shapes)


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Nobody waits for a single firmware."""
