"""What zeros and clusters among the weights save: the tables of docs/sparsity.md.

    python benchmarks/sparse.py [--board mps2-an386]

A model is a chain of layers of one shape, each with more zeros than the one before, so that one run in the emulator
counts them all. Every kernel is forced in turn, whatever the estimates say, and checked against TensorFlow Lite Micro.
Needs the extras of the tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.filter_op import Numbers  # type: ignore[import-not-found]  # noqa: E402  # the tests' builder of models is this script's too
from support.sparse import CODES_ROW, DSP, PORTABLE, ROW, add_layer, forced, sparse_weights  # type: ignore[import-not-found]  # noqa: E402
from support.tflite_model import ModelBuilder  # type: ignore[import-not-found]  # noqa: E402

from tinyml_sdk import benchmark, inspect_model  # noqa: E402
from tinyml_sdk.ops.sparse.lists import Form  # noqa: E402

KERNELS = (DSP, CODES_ROW, ROW, PORTABLE)
ZEROS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
NUMBERS = Numbers(input_zero_point=-128, output_zero_point=-128, activation="RELU")


@dataclass(frozen=True)
class Shape:
    """A layer whose output has its input's shape; a fully connected one has no image."""

    title: str
    channels: int
    image: tuple[int, ...] = ()
    filter: int = 1


SHAPES = (
    Shape("3x3, 16 → 16 channels, 16x16 pixels", 16, (16, 16), 3),
    Shape("1x1, 64 → 64 channels, 25x5 pixels", 64, (25, 5)),
    Shape("fully connected, 256 → 256", 256),
)


@dataclass(frozen=True)
class Cost:
    """Of one layer: instructions of an inference, and bytes of its constants; estimated instructions."""

    instructions: int
    flash: int
    estimate: int


def chain(shape: Shape, zeros: Sequence[float], pattern: str, values: int) -> bytes:
    """A model of layers with more and more zeros."""
    builder = ModelBuilder()
    rng = np.random.default_rng(0)
    size = (1, *shape.image, shape.channels)
    taps = (shape.filter,) * len(shape.image)
    x = builder.input(size, NUMBERS.input_scale, NUMBERS.input_zero_point)
    for share in zeros:
        weights = sparse_weights(
            rng, (shape.channels, *taps, shape.channels), zeros=share, pattern=pattern, values=values
        )
        x = add_layer(builder, x, size, weights, NUMBERS)
    builder.mark_output(x)
    return bytes(builder.build())


def measure(
    shape: Shape, form: Form | None, board: str, zeros: Sequence[float] = ZEROS, pattern: str = "", values: int = 0
) -> list[Cost]:
    """Each layer of a chain by one kernel: over lists of a form, or the dense one."""
    with (
        tempfile.TemporaryDirectory() as folder,
        forced(*(KERNELS if form else ()), forms=(form or "gaps",)),
    ):
        model = Path(folder) / "chain.tflite"
        model.write_bytes(chain(shape, zeros, pattern, values))
        taken = [
            next(choice for choice in layer.choices if choice.taken) for layer in inspect_model(model, board).layers
        ]
        result = benchmark(model, board=board, runs=1)
    if not result.check.bit_exact:
        raise SystemExit(f"{shape.title}, {form}: not bit exact")
    return [
        Cost(layer.count, choice.flash, choice.cost or 0) for layer, choice in zip(result.layers, taken, strict=True)
    ]


def table(shape: Shape, board: str) -> Iterator[str]:
    """Markdown."""
    dense = measure(shape, None, board, (0.0,))[0]
    gaps = measure(shape, "gaps", board)
    blocks = measure(shape, "blocks", board, pattern="1x4")
    yield f"**{shape.title}**: dense {dense.instructions:,} instructions, {dense.flash:,} bytes.\n"
    yield "| zeros | single weights | of dense | bytes | 1x4 blocks | of dense | bytes |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for share, single, block in zip(ZEROS, gaps, blocks, strict=True):
        cells = [cell for cost in (single, block) for cell in _cells(cost, dense)]
        yield f"| {share:.0%} | ".replace("%", " %") + " | ".join(cells) + " |"
    for pattern in ("2:4", "1:4"):
        (cost,) = measure(shape, "gaps", board, (0.0,), pattern=pattern)
        yield f"| {pattern} | " + " | ".join(_cells(cost, dense)) + " | | | |"
    yield ""
    yield "| 16 values | instructions | of dense | bytes |"
    yield "| --- | --- | --- | --- |"
    (codes,) = measure(shape, "codes", board, (0.0,), values=16)
    yield "| packed | " + " | ".join(_cells(codes, dense)) + " |"
    for share, cost in zip((0.5, 0.8), measure(shape, "coded_gaps", board, (0.5, 0.8), values=16), strict=True):
        yield f"| packed, {share:.0%} zeros | ".replace("%", " %") + " | ".join(_cells(cost, dense)) + " |"
    yield ""


def _cells(cost: Cost, dense: Cost) -> tuple[str, str, str]:
    return f"{cost.instructions:,}", f"{cost.instructions / dense.instructions:.2f}", f"{cost.flash:,}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", default="mps2-an386")
    parser.add_argument("--only", type=int, nargs="+", default=range(len(SHAPES)), help="numbers of shapes, from 0")
    arguments = parser.parse_args()
    for index in arguments.only:
        for line in table(SHAPES[index], arguments.board):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
