"""The whole measurement: build, run, compare, report. What `tinyml bench` calls."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..boards import Board, load_board
from ..codegen import Optimize, Runtime
from ..firmware import Inspection, build_inspected, default_toolchain, firmware_from_elf, inspect_for
from ..graph import Graph
from ..progress import Progress, unseen
from ..targets import SerialTarget, Target, open_target
from .check import compare_outputs, first_differing, measure_accuracy
from .classes import check_classes
from .inputs import Array, check_inputs, load_inputs
from .reference import open_reference
from .result import BenchResult
from .samples import Samples
from .session import check_build, first_divergent_layer, measure
from .summary import assemble_result

__all__ = ["benchmark"]


def benchmark(
    model: str | Path,
    *,
    board: str | Path,
    target: str | None = None,
    toolchain: str | None = None,
    optimize: Optimize = "speed",
    streams: bool = True,
    runtime: Runtime = "aot",
    tflm_root: str | Path | None = None,
    runs: int = 5,
    inputs: str | Path | None = None,
    project_dir: str | Path | None = None,
    port: str | None = None,
    flash: bool = True,
    tool: str | None = None,
    elf: str | Path | None = None,
    progress: Progress | None = None,
    on_samples: Callable[[Samples], None] | None = None,
) -> BenchResult:
    """Build a model for a board, run it there, compare every output byte with the reference and count the costs.

    Args:
        model: Path of a .tflite file.
        board: Name or file of the board.
        target: Where to run: `builtin` or `qemu`; the first of them that has the board where None.
        toolchain: What to build with: `zig`, `gnu_arm` or `platformio`; the runtime's where None.
        optimize: `speed` or `size`.
        streams: For `aot`: whether layers may run together row by row, where that takes a smaller arena.
        runtime: `aot` for generated C, `tflm` for TensorFlow Lite Micro's interpreter.
        tflm_root: For `tflm`: a TFLM tree with the library that its own Makefile makes.
        runs: Least number of inferences to count; every input is run at least once.
        inputs: An .npz file with inputs and, for accuracy, labels; made-up inputs of several amplitudes where None.
        port: The serial port of a board, `auto` for the one that has its USB id; in place of `target`.
        flash: With `port`: whether to write the firmware to the board first.
        tool: With `port`: which of the board's flash tools to use; its first where None.
        elf: With `port`: the firmware, where something else has built it: Arduino, ESP-IDF, a build of the user's own.
        project_dir: Where to keep the generated project and the ELF; a temporary folder where None.
        progress: Called with a stage, how much of it is done, and of how much.
        on_samples: Called once with all inputs and what the device made of them.

    Returns:
        The result, also when outputs differ from the reference: look at `check.bit_exact`.

    Raises:
        ModelError, BoardError, FitError, InputError, MissingToolError, BuildError: as for `build_firmware`.
        TargetError: the firmware cannot be run or does not answer.
    """
    report = progress or unseen
    toolchain = toolchain or default_toolchain(runtime)
    chosen = load_board(board)
    with ExitStack() as stack:
        folder = Path(project_dir) if project_dir else Path(stack.enter_context(tempfile.TemporaryDirectory())) / "p"
        # PlatformIO flashes what only its project knows: boot loader, partition table.
        project = folder if toolchain == "platformio" else None
        device = stack.enter_context(_open_device(target, chosen, port, flash, tool, project, report))
        inspection = inspect_for(model, board, runtime, optimize, streams=streams, progress=report)
        graph = inspection.graph
        samples, labels = _samples_and_labels(inputs, graph)
        report("building", 0, 1)
        if elf is None:
            firmware = build_inspected(inspection, folder, toolchain, optimize, tflm_root=tflm_root)
        else:
            firmware = firmware_from_elf(inspection, Path(elf), optimize, tflm_root)
        report("building", 1, 1)
        report("computing the reference", 0, 1)
        generated = inspection if isinstance(inspection, Inspection) else None
        reference = open_reference(Path(model), generated, stack)
        expected = reference.run(samples)
        report("computing the reference", 1, 1)
        measurement = measure(device, firmware.elf, graph, chosen, samples, runs, report)
        check_build(measurement.info, len(inspection.layers), firmware.arena_bytes)
        check = compare_outputs(reference.name, expected, measurement.outputs)
        if not check.bit_exact and generated is not None:
            worst = first_differing(expected, measurement.outputs)
            divergent = first_divergent_layer(device, firmware.elf, generated, reference, samples[worst])
            check = replace(check, first_divergent_layer=divergent)
        if on_samples is not None:
            on_samples(Samples(samples, measurement.outputs, labels))
        accuracy = measure_accuracy(labels, graph.output_tensors[0], expected, measurement.outputs)
        return assemble_result(inspection, firmware, device, measurement, check, accuracy)


def _samples_and_labels(inputs: str | Path | None, graph: Graph) -> tuple[list[list[Array]], Array | None]:
    """Of a user's file; where there is none, inputs for the check alone."""
    if inputs is None:
        return check_inputs(graph.input_tensors), None
    samples, labels = load_inputs(inputs, graph.input_tensors)
    if labels is not None:
        check_classes(labels, graph.output_tensors[0].elements, Path(inputs).name)
    return samples, labels


def _open_device(
    target: str | None,
    board: Board,
    port: str | None,
    flash: bool,
    tool: str | None,
    project: Path | None,
    progress: Progress,
) -> Target:
    if port is None:
        return open_target(target, board)
    return SerialTarget(board, port, flash=flash, tool=tool, project=project, progress=progress)
