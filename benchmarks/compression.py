"""What each compression technique costs and saves: the tables of docs/compression.md.

    python benchmarks/compression.py [--only digits gesture] [--seeds 0 1 2] [--techniques WORD] [--optimize size]

For each seed the example's network is trained anew, every recipe below starts from it, and what comes out runs in the
emulator as `tinyml bench` has it. Needs all extras; takes about half an hour on two cores, and goes on where it was
interrupted (in out/compression).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import numpy as np

from tinyml_sdk import benchmark, compress_model
from tinyml_sdk.ops import Optimize

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "compression"
BOARD = "mps2-an386"

Stages = list[dict[str, Any]]


def filters(**fine_tune: Any) -> dict[str, Any]:
    return {"stage": "prune_filters", "ratio": 0.5, "fine_tune": fine_tune}


TEACHER = {"distil": {"temperature": 3.0, "alpha": 0.3}}
LOW_RANK = {"stage": "low_rank", "energy": 0.9}
AWARE = {"stage": "quantize_aware", "fine_tune": {"learning_rate": 1e-3}}

INT4 = {"stage": "quantize", "weights": "int4"}

TECHNIQUES: dict[str, Stages] = {
    "int8 only": [{"stage": "quantize"}],
    "weights, 80 % zero": [{"stage": "prune_weights", "sparsity": 0.8}],
    "weights, 2:4": [{"stage": "prune_weights", "pattern": "2:4"}],
    "weights, 1x4 blocks, 50 %": [{"stage": "prune_weights", "pattern": "1x4", "sparsity": 0.5}],
    "filters, 50 %": [filters()],
    "filters, 50 %, by gradient": [filters() | {"importance": "gradient"}],
    "low rank, 90 % of energy": [LOW_RANK],
    "16 clusters": [{"stage": "cluster", "clusters": 16}, {"stage": "quantize", "granularity": "per-tensor"}],
    "distilled, same size": [{"stage": "distil", **TEACHER["distil"]}],
    "int8 in training": [AWARE],
    "int4 weights": [INT4],
    "int4 weights in training": [AWARE, INT4],
    "filters → distilled → int8 in training": [filters(**TEACHER), AWARE],
    "filters → low rank → distilled → int8 in training": [filters(), LOW_RANK | {"fine_tune": TEACHER}, AWARE],
    "filters → weights 50 % → clusters → int8 in training": [
        filters(**TEACHER),
        {"stage": "prune_weights", "sparsity": 0.5},
        {"stage": "cluster", "clusters": 16},
        AWARE,
        {"stage": "quantize", "granularity": "per-tensor"},
    ],
}
"""By name the stages of a recipe: techniques alone, then three combinations."""

TRAINING = {
    "digits": {"epochs": 30, "batch_size": 32, "learning_rate": 3e-3},
    "gesture": {"epochs": 6, "batch_size": 64, "learning_rate": 2e-3},
}

# Each window as recorded and once turned: a quarter of what the network was trained on.
FINE_TUNING_DATA = {"gesture": {"turned_copies": 1}}


@dataclass(frozen=True)
class Row:
    """One recipe on one seed.

    Attributes:
        before: Accuracy of the float model that it started from.
        after: Accuracy of the int8 model in TensorFlow Lite Micro.
        weight_bytes, gzip_bytes, macs: Of the int8 model.
        nonzero: Parameters that are not zero.
        instructions, flash, ram: Of `tinyml bench`.
    """

    before: float
    after: float
    weight_bytes: int
    gzip_bytes: int
    macs: int
    nonzero: int
    instructions: int
    flash: int
    ram: int


def example(name: str) -> ModuleType:
    """The training script of an example."""
    sys.path.insert(0, str(ROOT / "examples"))
    spec = importlib.util.spec_from_file_location(f"{name}_train", ROOT / "examples" / name / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measure(name: str, seeds: Sequence[int], word: str, optimize: Optimize) -> Iterator[tuple[str, int, Row]]:
    """Every recipe whose name has a word in it, on every seed."""
    import tensorflow as tf

    from tinyml_sdk.compress.saving import save_model
    from tinyml_sdk.quantize.loading import read_keras

    # As the examples have it: sums over several threads depend on how many cores there are.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    script = example(name)
    split = script.load_split()
    training, test = _arrays(script.load_split(**FINE_TUNING_DATA.get(name, {})))
    for seed in seeds:
        base = OUT / name / f"{seed}.keras"
        if not base.is_file():
            note(f"{name}, seed {seed}: training")
            save_model(script.train(split, seed), base)
        for technique, stages in TECHNIQUES.items():
            if word not in technique:
                continue
            folder = OUT / name / str(seed) / "".join(c if c.isalnum() else "_" for c in technique)
            report = folder / "model.json"
            if not report.is_file():
                note(f"{name}, seed {seed}: {technique}")
                _compress(read_keras(base, base.name), training, test, stages, name, seed, folder)
            facts = json.loads(report.read_text(encoding="utf-8"))
            yield technique, seed, Row(**facts, **_paid(folder / f"{name}.tflite", optimize))


def _arrays(split: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """(inputs, labels) to train and to test with, whatever the example calls its samples."""
    train_x, train_y = split[0], split[1]
    test_x, test_y = split[-2], split[-1]
    return (np.asarray(train_x), np.asarray(train_y)), (np.asarray(test_x), np.asarray(test_y))


def _compress(model: Any, training: Any, test: Any, stages: Stages, name: str, seed: int, folder: Path) -> None:
    """Leave the int8 model and what is known of it in a folder."""
    recipe = {"seed": seed, "deterministic": True, "training": TRAINING[name], "stages": stages}
    result = compress_model(model, training, recipe, validation=test)
    first, last = result.stages[0].cost, result.stages[-1].cost
    facts = {
        "before": first.accuracy.keras,
        "after": last.accuracy.int8,
        "weight_bytes": last.weight_bytes,
        "gzip_bytes": last.gzip_bytes,
        "macs": last.macs,
        "nonzero": last.nonzero_parameters,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tflite").write_bytes(result.quantized.content)
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def _paid(model: Path, optimize: Optimize) -> dict[str, int]:
    """What the board pays, measured each time: kernels change."""
    result = benchmark(model, board=BOARD, optimize=optimize)
    if not result.check.bit_exact:
        raise SystemExit(f"{model} is not bit exact")
    assert result.flash is not None
    assert result.ram.total is not None
    return {
        "instructions": int(result.per_inference.median),
        "flash": result.flash.total,
        "ram": result.ram.total,
    }


def table(rows: dict[str, list[Row]]) -> Iterator[str]:
    """Markdown: means over the seeds; of the accuracy also the least and the greatest."""
    yield "| technique | accuracy, int8 | not zero | weights, B | gzipped | MACs | instructions | flash, B | RAM, B |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for technique, seeds in rows.items():
        after = [100 * row.after for row in seeds]
        figures = [
            mean(getattr(row, key) for row in seeds)
            for key in ("nonzero", "weight_bytes", "gzip_bytes", "macs", "instructions", "flash", "ram")
        ]
        spread = f"{mean(after):.1f} % ({min(after):.1f} … {max(after):.1f})"
        yield f"| {technique} | {spread} | {' | '.join(f'{round(figure):,}' for figure in figures)} |"


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=tuple(TRAINING), default=tuple(TRAINING))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--techniques", metavar="WORD", default="", help="only those with this in their name")
    parser.add_argument("--optimize", choices=("speed", "size"), default="speed")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    everything: dict[str, dict[str, list[Row]]] = {}
    for name in arguments.only:
        rows: dict[str, list[Row]] = {}
        for technique, _, row in measure(name, arguments.seeds, arguments.techniques, arguments.optimize):
            rows.setdefault(technique, []).append(row)
        everything[name] = rows
        before = [100 * row.before for row in next(iter(rows.values()))]
        print(f"\n{name}: float {mean(before):.1f} % ({min(before):.1f} … {max(before):.1f})\n")
        print("\n".join(table(rows)))
    if arguments.json is not None:
        facts = {
            name: {key: [asdict(row) for row in rows] for key, rows in of.items()} for name, of in everything.items()
        }
        arguments.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
