"""MLPerf Tiny's models on every core: instructions, constants, code and memory, as the table of docs/performance.md.

    python -m benchmarks.cores [--toolchain gnu_arm] [--models kws ad] [--document docs/performance.md]

With --document the table takes the place of the one between the document's marks. The models are read from
$TINYML_CORPUS, default ../shared/models. The Cortex-M55 needs QEMU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tinyml_sdk import BenchResult, benchmark, inspect_model

from .baseline import CORPUS

BOARDS = {
    "Cortex-M0+": "mps2-cm0plus",
    "Cortex-M3": "mps2-an385",
    "Cortex-M4": "mps2-an386",
    "Cortex-M7": "mps2-an500",
    "Cortex-M33": "mps2-an505",
    "Cortex-M55": "mps3-an547",
    "RV32IMC": "virt-rv32",
}
ARM_ONLY = "gnu_arm"
MODELS = ("kws", "ad", "ic", "vww")
BEGIN, END = "<!-- models on cores -->\n", "<!-- /models on cores -->\n"

COLUMNS = (
    "core",
    "model",
    "instructions",
    "per MAC",
    "code, speed / size",
    "constants, speed / size",
    "instructions for size",
    "arena",
    "RAM",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n"


def model_path(model: str) -> Path:
    return CORPUS / "mlperf_tiny" / f"{model}.tflite"


def bare_constants(model: str) -> int:
    """Bytes of the constants that a model cannot do without: the portable kernels', which are as the file has them."""
    return inspect_model(model_path(model)).weight_bytes


def measure(model: str, board: str, toolchain: str) -> tuple[BenchResult, BenchResult]:
    """Optimized for speed and for size. Raises TinymlError; exits when an output byte differs."""
    results = []
    for optimize in ("speed", "size"):
        result = benchmark(model_path(model), board=board, toolchain=toolchain, optimize=optimize)
        if not result.check.bit_exact:
            sys.exit(f"{model} on {board}, optimized for {optimize}: outputs differ from {result.check.reference}")
        results.append(result)
    return results[0], results[1]


def with_excess(constants: int, bare: int) -> str:
    """Bytes of constants, and how many percent these are more than the least."""
    return f"{constants:,} (+{100 * (constants / bare - 1):.1f} %)"


def row(core: str, speed: BenchResult, size: BenchResult, bare: int) -> str:
    count = speed.per_inference.median
    assert speed.flash is not None
    assert size.flash is not None
    cells = (
        core,
        speed.model.name,
        f"{count:,}",
        f"{count / speed.model.macs:.2f}",
        f"{speed.flash.code:,} / {size.flash.code:,}",
        " / ".join(with_excess(flash.weights, bare) for flash in (speed.flash, size.flash)),
        f"{size.per_inference.median:,}",
        f"{speed.ram.arena:,}",
        f"{speed.ram.total:,}",
    )
    return f"| {' | '.join(cells)} |\n"


def put_into(document: Path, table: str) -> None:
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(before + BEGIN + table + END + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--toolchain", default="zig", choices=("zig", ARM_ONLY))
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--document", type=Path, help="the Markdown file that has the marks")
    arguments = parser.parse_args()
    table = HEAD
    print(HEAD, end="")
    for core, board in BOARDS.items():
        if arguments.toolchain == ARM_ONLY and core.startswith("RV"):
            continue
        for model in arguments.models:
            line = row(core, *measure(model, board, arguments.toolchain), bare_constants(model))
            print(line, end="", flush=True)
            table += line
    if arguments.document is not None:
        put_into(arguments.document, table)


if __name__ == "__main__":
    main()
