"""Everything measured, put together as the result."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..boards import Board
from ..codegen import Optimize, Runtime
from ..errors import TargetError
from ..firmware import Firmware, Inspection
from ..link import CounterKind
from ..targets import Target
from ..tflm import TflmModel
from .cycles import estimate_cycles
from .result import (
    Accuracy,
    BenchResult,
    Check,
    FlashUse,
    LayerCost,
    ModelFacts,
    PerInference,
    RamUse,
    TargetFacts,
    ToolchainFacts,
)
from .session import Measurement

__all__ = ["assemble_result"]


def assemble_result(
    inspection: Inspection | TflmModel,
    firmware: Firmware | None,
    board: Board,
    runtime: Runtime,
    optimize: Optimize,
    target: Target,
    measurement: Measurement,
    check: Check,
    accuracy: Accuracy | None,
) -> BenchResult:
    """The result of one benchmark; without sizes where the firmware was not built here."""
    median = round(statistics.median(measurement.counts))
    return BenchResult(
        model=ModelFacts(
            file=inspection.graph.source,
            sha256=inspection.graph.sha256,
            name=inspection.graph.name,
            macs=inspection.macs,
            ops=len(inspection.layers),
        ),
        board=board.name,
        core=board.core,
        runtime=runtime,
        optimize=optimize,
        streams=inspection.streams if isinstance(inspection, Inspection) else None,
        toolchain=_toolchain(firmware),
        target=TargetFacts(target.name, target.version()),
        counter=target.counts,
        counter_resolution=measurement.resolution,
        clock_hz=board.clock_hz,
        per_inference=PerInference(
            median=median, min=min(measurement.counts), max=max(measurement.counts), runs=len(measurement.counts)
        ),
        latency_us=_latency_us(median, target, measurement, board),
        flash=_flash(firmware),
        ram=_ram(firmware, measurement),
        check=check,
        accuracy=accuracy,
        layers=_layers(inspection, measurement.layer_counts),
        estimated_cycles=estimate_cycles(
            board.core,
            board.clock_hz,
            measurement.counts[0],
            measurement.executed,
            measurement.executed_layers,
            measurement.layer_counts if measurement.executed_layers else (),
        ),
    )


def _latency_us(cycles: int, target: Target, measurement: Measurement, board: Board) -> float | None:
    """Microseconds of an inference on the chip; None where the counter did not count its time.

    Emulators do not implement the DWT's counter, and a firmware that has it counts with SysTick there: so a board that
    does the same is an emulator, whatever port it is on.
    """
    counter_is_missing = board.counter == "dwt" and measurement.info.counter is not CounterKind.DWT
    if target.counts != "cycles" or target.emulated or counter_is_missing:
        return None
    return cycles * 1e6 / (measurement.info.clock_hz or board.clock_hz)


def _toolchain(firmware: Firmware | None) -> ToolchainFacts | None:
    if firmware is None:
        return None
    return ToolchainFacts(firmware.build.toolchain, firmware.build.version, firmware.build.flags)


def _flash(firmware: Firmware | None) -> FlashUse | None:
    if firmware is None:
        return None
    return FlashUse(firmware.memory.flash, firmware.memory.code, firmware.memory.weights)


def _ram(firmware: Firmware | None, measurement: Measurement) -> RamUse:
    stack_peak = measurement.stack_peak
    if firmware is None:
        return RamUse(total=None, arena=measurement.info.arena_bytes, static=None, stack_peak=stack_peak)
    arena, static_and_arena = firmware.arena_bytes, firmware.memory.data + firmware.memory.bss
    return RamUse(
        total=static_and_arena + stack_peak, arena=arena, static=static_and_arena - arena, stack_peak=stack_peak
    )


def _layers(inspection: Inspection | TflmModel, counts: Sequence[int]) -> tuple[LayerCost, ...]:
    if len(counts) != len(inspection.layers):
        raise TargetError(
            f"the firmware that answers has {len(counts)} layers, the model as asked for {len(inspection.layers)}",
            where=inspection.graph.source,
            hint="give the --optimize, --no-streams and --runtime that it was generated with; or flash it anew",
        )
    total = sum(counts) or 1
    return tuple(
        LayerCost(
            index=layer.op.index,
            op=layer.op.name,
            name=inspection.graph.tensors[layer.op.outputs[0]].name,
            macs=layer.macs,
            count=count,
            share=count / total,
        )
        for layer, count in zip(inspection.layers, counts, strict=True)
    )
