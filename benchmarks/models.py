"""Published models on an emulated board, a Cortex-M4 at first: instructions, flash and RAM beside TFLM's.

    python benchmarks/models.py [--optimize size] [--toolchain gnu_arm] [--board mps2-an386] [--json FILE]

Ratios are ours / TFLM's with CMSIS-NN (`tflm_baseline.yaml`): below 1 is better. The models are read from
$TINYML_CORPUS, default ../shared/models.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from tinyml_sdk import BenchResult, benchmark
from tinyml_sdk.bench.result import FlashUse

HERE = Path(__file__).parent
CORPUS = Path(os.environ.get("TINYML_CORPUS", HERE.parents[1] / "shared" / "models"))
MODELS = (
    "mlperf_tiny/kws",
    "mlperf_tiny/ad",
    "mlperf_tiny/ic",
    "mlperf_tiny/vww",
    "tflm/hello_world_int8",
    "tflm/micro_speech_quantized",
    "tflm/mnist_lstm_int8",
)


def ratio(ours: float, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if theirs else "-"


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def theirs(result: BenchResult, baseline: dict[str, Any]) -> int | None:
    """TFLM's instructions on a core that was measured: a Cortex-M4, close to which are M7 and M33, or an M55."""
    return baseline.get("m55") if result.core == "cortex-m55" else baseline["instructions"]


def sizes(result: BenchResult) -> tuple[FlashUse, int]:
    """Flash, and bytes of RAM: known of all firmware that is built here."""
    assert result.flash is not None
    assert result.ram.total is not None
    return result.flash, result.ram.total


def row(result: BenchResult, baseline: dict[str, Any]) -> list[str]:
    count = result.per_inference.median
    flash, ram = sizes(result)
    return [
        result.model.name,
        f"{count:,}",
        f"{count / result.model.macs:.2f}" if result.model.macs else "-",
        ratio(count, theirs(result, baseline)),
        ratio(count, baseline.get("reference")),
        f"{flash.total:,}",
        f"{flash.code:,}",
        ratio(flash.total, baseline["flash"]),
        f"{result.ram.arena:,}",
        ratio(result.ram.arena, baseline["arena"]),
        f"{ram:,}",
        ratio(ram, baseline["ram"]),
        "yes" if result.check.bit_exact else f"NO ({result.check.differing})",
    ]


def measured(results: list[BenchResult]) -> dict[str, list[int]]:
    return {
        "instructions": [result.per_inference.median for result in results],
        "flash": [sizes(result)[0].total for result in results],
        "arena": [result.ram.arena for result in results],
        "ram": [sizes(result)[1] for result in results],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--board", default="mps2-an386")
    parser.add_argument("--toolchain", default="zig")
    parser.add_argument("--target", help="default: the first emulator that has the board")
    parser.add_argument("--optimize", default="speed", choices=("speed", "size"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not CORPUS.is_dir():
        parser.error(f"no models at {CORPUS}; set TINYML_CORPUS")
    baselines = yaml.safe_load((HERE / "tflm_baseline.yaml").read_text(encoding="utf-8"))
    results = [
        benchmark(
            CORPUS / f"{model}.tflite",
            board=arguments.board,
            target=arguments.target,
            toolchain=arguments.toolchain,
            optimize=arguments.optimize,
        )
        for model in MODELS
    ]
    table = Table(title=f"{arguments.board}, {arguments.toolchain}, optimized for {arguments.optimize}; ratios to TFLM")
    columns = "model|instructions|/MAC|ratio|/reference|flash|code|ratio|arena|ratio|RAM|ratio|bit exact"
    for name in columns.split("|"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for result in results:
        table.add_row(*row(result, baselines[result.model.name]))
    console = Console(width=140)
    console.print(table)
    for what, ours in measured(results).items():
        ratios = []
        for result, value in zip(results, ours, strict=True):
            baseline = baselines[result.model.name]
            figure = theirs(result, baseline) if what == "instructions" else baseline[what]
            if figure is not None:
                ratios.append(value / figure)
        console.print(f"geometric mean, {what}: {geometric_mean(ratios):.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps([result.to_dict() for result in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
