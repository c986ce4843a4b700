"""Our kernels beside CMSIS-NN's and bakeNN's, on the same models, with the same compiler, in the same emulator.

    python -m benchmarks.kernels [--board mps2-an386] [--toolchains zig gnu_arm] [--models kws ad ic vww] [--json FILE]

Markdown goes to stdout, progress to stderr. The models are read from $TINYML_CORPUS, default ../shared/models. Needs
the extra `benchmark`; see README.md in this folder for what is compared and how.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from .bakenn_model import POLICIES, acceptable_model, refusal
from .measuring import Setting, measure_bakenn, measure_cmsis_nn, measure_ours
from .report import Compared, PeerModel, bakenn_table, layer_table, means, model_table, worst_layers

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models"))
MODELS = ("kws", "ad", "ic", "vww")

LEVELS = {"zig": ("-O2",), "gnu_arm": ("-O2", "-O3")}
"""TFLM's makefile builds CMSIS-NN with -O2, its own with -Ofast. Zig has one level for all of them."""


def compare(model: str, setting: Setting) -> Compared:
    """One model with one compiler."""
    path = CORPUS / "mlperf_tiny" / f"{model}.tflite"
    note(f"{model}, {setting.toolchain}: ours")
    ours = measure_ours(path, setting)
    theirs = []
    for level in LEVELS[setting.toolchain]:
        note(f"{model}, {setting.toolchain}: CMSIS-NN {level}")
        theirs.append(measure_cmsis_nn(path, setting, level))
    return Compared(model, setting.toolchain, ours, tuple(theirs))


def compare_bakenn(model: str, setting: Setting) -> PeerModel:
    """The same with bakeNN, on the file that it accepts."""
    published = (CORPUS / "mlperf_tiny" / f"{model}.tflite").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        refused = refusal(published, Path(folder) / "published")
        accepted = acceptable_model(published)
        still = refusal(accepted, Path(folder) / "accepted")
        if still is not None:
            return PeerModel(model, setting.toolchain, refused, still, None, ())
        path = Path(folder) / f"{model}.tflite"
        path.write_bytes(accepted)
        note(f"{model}, {setting.toolchain}: bakeNN")
        theirs = tuple(measure_bakenn(path, setting, policy) for policy in POLICIES)
        return PeerModel(model, setting.toolchain, refused, None, measure_ours(path, setting), theirs)


def print_report(compared: Sequence[Compared], peers: Sequence[PeerModel], board: str) -> None:
    tflm = yaml.safe_load((ROOT / "benchmarks" / "tflm_baseline.yaml").read_text(encoding="utf-8"))
    print(f"Instructions of an inference on {board}.\n")
    print("\n".join(model_table(compared, tflm if board == "mps2-an386" else {})))
    for toolchain in dict.fromkeys(pair.toolchain for pair in compared):
        chosen = [pair for pair in compared if pair.toolchain == toolchain]
        print(f"\nGeometric means of ours / CMSIS-NN, {toolchain}\n")
        print("\n".join(f"- {line}" for line in means(chosen)))
        print(f"\nLayers, {toolchain}\n")
        print("\n".join(layer_table(chosen)))
        print(f"\nThe five worst layers, {toolchain}\n")
        print("\n".join(worst_layers(chosen)))
    if peers:
        print("\nbakeNN, on the files without open batch sizes and without a last SOFTMAX\n")
        print("\n".join(bakenn_table(peers)))


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--board", default="mps2-an386")
    parser.add_argument("--toolchains", nargs="+", choices=tuple(LEVELS), default=tuple(LEVELS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--no-bakenn", action="store_true", help="leave out bakeNN, whose code is for a Cortex-M4")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if importlib.util.find_spec("bakenn") is None:
        parser.error("CMSIS-NN's sources are not installed: pip install '.[benchmark]'")
    if not CORPUS.is_dir():
        parser.error(f"no models at {CORPUS}; set TINYML_CORPUS")
    settings = [Setting(arguments.board, toolchain) for toolchain in arguments.toolchains]
    compared = [compare(model, setting) for setting in settings for model in arguments.models]
    peers = []
    if not arguments.no_bakenn:
        peers = [compare_bakenn(model, setting) for setting in settings for model in arguments.models]
    print_report(compared, peers, arguments.board)
    if arguments.json is not None:
        rows = {"cmsis_nn": [asdict(row) for row in compared], "bakenn": [asdict(row) for row in peers]}
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(side.equal for pair in compared for side in (pair.ours, *pair.theirs)) else 1


if __name__ == "__main__":
    sys.exit(main())
