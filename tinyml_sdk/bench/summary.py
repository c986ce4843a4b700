"""Everything measured, put together as the result."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..boards import Board
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
    firmware: Firmware,
    target: Target,
    measurement: Measurement,
    check: Check,
    accuracy: Accuracy | None,
) -> BenchResult:
    """The result of one benchmark."""
    board = firmware.board
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
        runtime=firmware.runtime,
        optimize=firmware.optimize,
        streams=inspection.streams if isinstance(inspection, Inspection) else None,
        toolchain=ToolchainFacts(firmware.build.toolchain, firmware.build.version, firmware.build.flags),
        target=TargetFacts(target.name, target.version()),
        counter=target.counts,
        counter_resolution=measurement.resolution,
        clock_hz=board.clock_hz,
        per_inference=PerInference(
            median=median, min=min(measurement.counts), max=max(measurement.counts), runs=len(measurement.counts)
        ),
        latency_us=_latency_us(median, target, measurement, board),
        flash=FlashUse(firmware.memory.flash, firmware.memory.code, firmware.memory.weights),
        ram=_ram(firmware.arena_bytes, firmware.memory.data + firmware.memory.bss, measurement.stack_peak),
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


def _ram(arena: int, static_and_arena: int, stack_peak: int) -> RamUse:
    return RamUse(
        total=static_and_arena + stack_peak, arena=arena, static=static_and_arena - arena, stack_peak=stack_peak
    )


def _layers(inspection: Inspection | TflmModel, counts: Sequence[int]) -> tuple[LayerCost, ...]:
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
