"""From a model file to firmware: inspect, generate, build. Each step is a function that a script may call too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .boards import Board, load_board
from .codegen import (
    BUILD_FOLDER,
    Application,
    Emulator,
    GeneratedProject,
    ModelSource,
    Optimize,
    ProjectKind,
    Runtime,
    check_project,
    generate_model,
    generate_project,
    weight_bytes,
    write_folder,
)
from .errors import BuildError, FitError, InputError
from .graph import Graph, read_graph
from .ops import Layer, fuse_ops, lower_graph, remove_constant_channels
from .plan import Fit, MemoryPlan, Streaming, check_fit, measure_fit, order_layers, plan_memory, stream_layers
from .progress import Progress, unseen
from .tflm import TflmModel, find_library, inspect_tflm_model
from .toolchains import BuildJob, BuildResult, Library, MemoryUse, get_toolchain, read_compiler, read_sections

__all__ = [
    "Firmware",
    "Inspection",
    "build_firmware",
    "build_inspected",
    "default_toolchain",
    "firmware_from_elf",
    "firmware_image",
    "generate",
    "inspect_for",
    "inspect_model",
]

_OVERFLOW = re.compile(r"[^\n]*(?:will not fit in region|overflowed by)[^\n]*")
"""What LLD and GNU ld say when a memory region is too small."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is known of a model before anything is built. `board` and `fit` only where a board was named.

    Attributes:
        graph: The model without the channels that are the same for every input, and without fused ops.
        layers: In the order in which they run.
        removed_channels: How many channels these were, over all its tensors.
        fused_ops: How many ops have become part of another one; see `fuse_ops`.
        streams: Whether layers might run row by row with others.
        arena_before_streams: Bytes of the arena if every layer ran alone, None where none runs row by row with others.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    plan: MemoryPlan
    weight_bytes: int
    board: Board | None = None
    fit: Fit | None = None
    removed_channels: int = 0
    fused_ops: int = 0
    streams: bool = True
    arena_before_streams: int | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates that one inference executes."""
        return sum(layer.macs for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Firmware:
    """A built benchmark firmware: where it is, how it was built, and what it puts in flash and RAM."""

    board: Board
    runtime: Runtime
    optimize: Optimize
    folder: Path
    elf: Path
    build: BuildResult
    memory: MemoryUse
    arena_bytes: int


def inspect_model(
    model: str | Path,
    board: str | Path | None = None,
    optimize: Optimize = "speed",
    *,
    streams: bool = True,
    progress: Progress | None = None,
) -> Inspection:
    """Read a .tflite file, check it, choose kernels and plan its memory.

    Args:
        model: Path of the file.
        board: Name or file of a board whose core's kernels to choose and whose memory to compare with.
        optimize: What kernels are chosen for: `speed`, or `size`.
        streams: Whether layers may run together row by row, where that takes a smaller arena.
        progress: Called with a stage, how much of it is done, and of how much.

    Raises:
        ModelError: the file is damaged or unsupported.
        BoardError: there is no such board.
    """
    chosen = load_board(board) if board is not None else None
    original = read_graph(model)
    fused = fuse_ops(original)
    graph = remove_constant_channels(fused)
    core = chosen.core_spec if chosen else None
    report = progress or unseen
    report("planning memory", 0, 1)
    layers = order_layers(graph, lower_graph(graph, core, optimize))
    streaming = stream_layers(graph, layers, core, optimize, report) if streams else Streaming(layers)
    layers = streaming.layers
    plan = plan_memory(graph, layers)
    report("planning memory", 1, 1)
    constants = weight_bytes(graph, layers)
    fit = measure_fit(chosen, plan.arena_bytes, constants) if chosen else None
    return Inspection(
        graph,
        layers,
        plan,
        constants,
        chosen,
        fit,
        removed_channels=_channels(fused) - _channels(graph),
        fused_ops=len(original.ops) - len(fused.ops),
        streams=streams,
        arena_before_streams=streaming.arena_before,
    )


def _channels(graph: Graph) -> int:
    return sum(graph.tensors[index].shape[-1] for op in graph.ops for index in op.outputs if graph.tensors[index].shape)


def generate(
    model: str | Path,
    output: str | Path,
    *,
    board: str | Path | None = None,
    project: ProjectKind = "baremetal",
    optimize: Optimize = "speed",
    streams: bool = True,
    runtime: Runtime = "aot",
    tflm_root: str | Path | None = None,
    app: Application = "benchmark",
    emulator: Emulator | None = None,
    progress: Progress | None = None,
) -> ModelSource | GeneratedProject:
    """Write C for a model into a folder: the model library alone, or with a board a whole firmware project.

    The folder appears whole or not at all, and the same model gives the same bytes.

    Args:
        model: Path of a .tflite file.
        output: A folder that is new, empty, or was generated and not changed since.
        board: Name or file of the board to write a benchmark firmware for.
        project: Whose habits the firmware project follows: `baremetal`, `cmake`, `platformio`, `esp_idf` or `arduino`.
        optimize: `speed` specialises each layer's kernel, `size` shares one instance.
        streams: For `aot`: whether layers may run together row by row, where that takes a smaller arena.
        runtime: `aot` for generated C, `tflm` for TensorFlow Lite Micro's interpreter.
        tflm_root: For `tflm`: a TFLM tree with its library, to measure the arena with on the board's core. Where None
            it is measured on this machine, with a margin.
        app: With a board, the application around the model: `benchmark` answers `tinyml bench`, `mlperf` the runner of
            MLPerf Tiny.
        emulator: With a board, `renode` adds what Renode runs the firmware with.
        progress: Called with a stage, how much of it is done, and of how much.

    Raises:
        ModelError: as for `inspect_model`; or the application does not take such a model.
        BoardError: there is no such board, no project of that kind for it, or the emulator does not know it.
        FitError: the model cannot fit the board.
        InputError: the folder holds other files or cannot be written; the TFLM tree cannot be used.
        MissingToolError, BuildError, TargetError: the arena cannot be measured.
    """
    inspection = inspect_for(model, board, runtime, optimize, streams=streams, progress=progress)
    # The other kinds of project bring a TFLM of their own.
    library = _library(inspection, tflm_root if project in ("baremetal", "cmake") else None)
    if board is None:
        source = _model_source(inspection, library, optimize)
        write_folder(Path(output), source.files, {"model": source.name, "runtime": runtime, "optimize": optimize})
        return source
    whole = _project(inspection, library, optimize, project, app, emulator)
    write_folder(Path(output), whole.files, whole.manifest)
    return whole


def build_firmware(
    model: str | Path,
    output: str | Path,
    *,
    board: str | Path,
    toolchain: str | None = None,
    optimize: Optimize = "speed",
    streams: bool = True,
    runtime: Runtime = "aot",
    tflm_root: str | Path | None = None,
    app: Application = "benchmark",
    progress: Progress | None = None,
) -> Firmware:
    """Generate the benchmark firmware of a model for a board and compile it to `output/build/firmware.elf`.

    Args:
        model, output, board, optimize, streams, runtime, app, progress: As for `generate`.
        toolchain: `zig`, `gnu_arm` or `platformio`; where None the runtime's, `zig` for `aot` and `gnu_arm` for `tflm`.
        tflm_root: For `tflm`: a TFLM tree with the library that its own Makefile makes.

    Raises:
        ModelError, BoardError, FitError, InputError: as for `generate`.
        MissingToolError: the toolchain is not installed.
        BuildError: the compiler failed.
        TargetError: the firmware that measures TFLM's arena does not run.
    """
    chosen = toolchain or default_toolchain(runtime)
    inspection = inspect_for(model, board, runtime, optimize, streams=streams, progress=progress)
    if progress is not None:
        progress("building", 0, 1)
    return build_inspected(inspection, Path(output), chosen, optimize, app, tflm_root)


def default_toolchain(runtime: Runtime) -> str:
    """What builds firmware of a runtime where nobody says otherwise. TFLM's libraries are built by, and for, GNU's."""
    return "gnu_arm" if runtime == "tflm" else "zig"


def inspect_for(
    model: str | Path,
    board: str | Path | None,
    runtime: Runtime,
    optimize: Optimize,
    *,
    streams: bool = True,
    progress: Progress | None = None,
) -> Inspection | TflmModel:
    """`inspect_model`, or what there is to know of a model that TFLM runs. Raises as `inspect_model`."""
    if runtime == "tflm":
        return inspect_tflm_model(model, board)
    return inspect_model(model, board, optimize, streams=streams, progress=progress)


def firmware_image(
    firmware: Path,
    folder: Path,
    *,
    board: str | Path,
    toolchain: str | None = None,
    optimize: Optimize = "speed",
    streams: bool = True,
    runtime: Runtime = "aot",
    tflm_root: str | Path | None = None,
    app: Application = "benchmark",
    progress: Progress | None = None,
) -> Path:
    """What a user calls a firmware, as an image: built in a folder where it is a .tflite file, else the file itself.

    Raises:
        ModelError, BoardError, FitError, InputError, MissingToolError, BuildError: as for `build_firmware`.
    """
    if firmware.suffix.lower() != ".tflite":
        return firmware
    return build_firmware(
        firmware,
        folder,
        board=board,
        toolchain=toolchain,
        optimize=optimize,
        streams=streams,
        runtime=runtime,
        tflm_root=tflm_root,
        app=app,
        progress=progress,
    ).elf


def _library(inspection: Inspection | TflmModel, tflm_root: str | Path | None) -> Library | None:
    """What of a TFLM tree the firmware is linked with."""
    if not isinstance(inspection, TflmModel) or tflm_root is None or inspection.board is None:
        return None
    return find_library(tflm_root, inspection.board)


def _model_source(
    inspection: Inspection | TflmModel, library: Library | None, optimize: Optimize, kind: ProjectKind = "baremetal"
) -> ModelSource:
    if isinstance(inspection, TflmModel):
        inspection.check_fit()
        arena = inspection.size_arena(library, get_toolchain(default_toolchain("tflm")), optimize)
        return inspection.source(arena, kind)
    return generate_model(inspection.graph, inspection.layers, inspection.plan, optimize)


def _project(
    inspection: Inspection | TflmModel,
    library: Library | None,
    optimize: Optimize,
    kind: ProjectKind,
    app: Application,
    emulator: Emulator | None = None,
) -> GeneratedProject:
    """The firmware project, unless the model cannot fit."""
    board = inspection.board
    assert board is not None
    check_project(board, kind)
    if isinstance(inspection, Inspection):
        check_fit(board, inspection.plan.arena_bytes, inspection.weight_bytes)
    source = _model_source(inspection, library, optimize, kind)
    streams = inspection.streams if isinstance(inspection, Inspection) else True
    return generate_project(inspection.graph, source, board, optimize, kind, app, emulator, streams=streams)


def _required_library(
    inspection: Inspection | TflmModel, toolchain: str, tflm_root: str | Path | None
) -> Library | None:
    """What to link: nothing for generated C, nor where PlatformIO brings TFLM itself."""
    if not isinstance(inspection, TflmModel) or toolchain == "platformio":
        return None
    library = _library(inspection, tflm_root)
    if library is None:
        raise InputError(
            "to build for TensorFlow Lite Micro, its library is needed",
            where="--tflm-root",
            hint="name a TFLM tree (tensorflow/tflite-micro) whose Makefile has made libtensorflow-microlite.a, "
            "or set TFLM_ROOT; see docs/tflm.md",
        )
    if toolchain != "gnu_arm":
        raise InputError(
            f"{toolchain} cannot link TensorFlow Lite Micro's library, which is C++ for newlib",
            where="--toolchain",
            hint="build with --toolchain gnu_arm",
        )
    return library


def firmware_from_elf(
    inspection: Inspection | TflmModel, elf: Path, optimize: Optimize, tflm_root: str | Path | None = None
) -> Firmware:
    """A firmware that something else has built of generated code: Arduino, ESP-IDF, a build of the user's own.

    Raises:
        InputError: the file cannot be read, or is no ELF.
        FitError, MissingToolError, BuildError, TargetError: for runtime `tflm`, its arena cannot be measured.
    """
    assert inspection.board is not None
    build = BuildResult(elf, *read_compiler(elf), flags=())
    source = _model_source(inspection, _library(inspection, tflm_root), optimize)
    memory = read_sections(elf, source.weight_symbols)
    return Firmware(inspection.board, source.runtime, optimize, elf.parent, elf, build, memory, source.arena_bytes)


def build_inspected(
    inspection: Inspection | TflmModel,
    folder: Path,
    toolchain: str,
    optimize: Optimize,
    app: Application = "benchmark",
    tflm_root: str | Path | None = None,
) -> Firmware:
    """`build_firmware` for a model that has been inspected for a board."""
    board = inspection.board
    assert board is not None
    compiler = get_toolchain(toolchain)
    library = _required_library(inspection, toolchain, tflm_root)
    kind: ProjectKind = "platformio" if toolchain == "platformio" else "baremetal"
    project = _project(inspection, library, optimize, kind, app)
    write_folder(folder, project.files, project.manifest)
    job = BuildJob(
        root=folder,
        sources=project.sources,
        include_dirs=project.include_dirs,
        linker_script=project.linker_script,
        board=board,
        optimize=optimize,
        output=folder / BUILD_FOLDER / "firmware.elf",
        library=library,
    )
    try:
        result = compiler.build(job)
    except BuildError as error:
        if overflow := _OVERFLOW.search(error.output):
            raise FitError(
                f"the firmware does not fit: {overflow.group(0)}",
                where=board.name,
                hint="choose a larger board (`tinyml boards`), a smaller model, or --optimize size",
            ) from error
        raise
    memory = read_sections(result.elf, project.weight_symbols)
    return Firmware(board, project.runtime, optimize, folder, result.elf, result, memory, project.arena_bytes)
