"""Results to show and compare, without the minute it takes to measure them."""

from pathlib import Path

from tinyml_sdk.bench.result import (
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
from tinyml_sdk.firmware import inspect_model

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite"


def made_up_result() -> BenchResult:
    """A result with made-up costs for the real layers of the digits model."""
    inspection = inspect_model(DIGITS, "microbit")
    layers = tuple(
        LayerCost(
            index=layer.op.index,
            op=layer.op.name,
            name=inspection.graph.tensors[layer.op.outputs[0]].name,
            macs=layer.macs,
            count=1_000 * (place + 1),
            share=(place + 1) / 36,
        )
        for place, layer in enumerate(inspection.layers)
    )
    graph = inspection.graph
    return BenchResult(
        model=ModelFacts(graph.source, graph.sha256, graph.name, inspection.macs, len(layers)),
        board="mps2-an386",
        core="cortex-m4",
        runtime="aot",
        optimize="speed",
        toolchain=ToolchainFacts("zig", "0.15.2", ("-O2",)),
        target=TargetFacts("builtin", "unicorn 2.1.4"),
        counter="instructions",
        counter_resolution=1.0,
        clock_hz=25_000_000,
        per_inference=PerInference(36_100, 36_100, 36_100, 8),
        latency_us=None,
        flash=FlashUse(15_546, 10_000, 5_546),
        ram=RamUse(3_000, 1_544, 1_000, 456),
        check=Check("tflite-micro", 8, True, 0, 0, None),
        accuracy=None,
        layers=layers,
    )
