"""What an inference may cost: results that are kept in benchmarks/baseline, and whether one has grown since.

    python benchmarks/baseline.py            # compare; exits 1 and names every total and layer that costs 2 % more
    python benchmarks/baseline.py --renew    # keep what is measured now

The four models of MLPerf Tiny and the digits example, on an emulated Cortex-M4 (mps2-an386, zig, for speed). The files
are what `tinyml bench --json` writes, so `tinyml compare` reads them too. MLPerf's models are read from $TINYML_CORPUS,
default ../shared/models, and left out where that is not there.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tinyml_sdk import BenchResult, InputError, RegressionError, benchmark, compare_results, load_result
from tinyml_sdk.bench.gate import check_bit_exact, check_growth

ROOT = Path(__file__).resolve().parents[1]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models"))
BASELINE = Path(__file__).resolve().parent / "baseline"
BOARD = "mps2-an386"
MAX_REGRESSION = 0.02

MODELS = {
    "digits": ROOT / "examples" / "digits" / "digits.tflite",
    **{name: CORPUS / "mlperf_tiny" / f"{name}.tflite" for name in ("ad", "ic", "kws", "vww")},
}
"""By the name of the baseline's file, the model."""


def measure(name: str) -> BenchResult:
    """The result now. Raises MismatchError when it is not bit exact: then its cost says nothing."""
    result = benchmark(MODELS[name], board=BOARD)
    check_bit_exact(result)
    return result


def check(name: str) -> BenchResult:
    """Measure and compare with the baseline.

    Raises:
        RegressionError: names every total and layer that grew.
        InputError: the baseline is of another compiler or another model, so that growth would mean nothing.
    """
    result = measure(name)
    path = BASELINE / f"{name}.json"
    comparison = compare_results(load_result(path), result)
    if comparison.settings:
        raise InputError(
            f"the baseline has another {', '.join(comparison.settings)}",
            where=str(path.relative_to(ROOT)),
            hint="if that is meant to be so, `make baseline` renews it; else install what pyproject.toml pins",
        )
    check_growth(comparison, MAX_REGRESSION, where=name)
    return result


def renew(name: str) -> BenchResult:
    """Measure and keep the result."""
    result = measure(name)
    BASELINE.mkdir(exist_ok=True)
    (BASELINE / f"{name}.json").write_text(result.to_json(), encoding="utf-8")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--renew", action="store_true", help="write the baselines in place of comparing with them")
    arguments = parser.parse_args()
    worst = 0
    for name, model in MODELS.items():
        if not model.is_file():
            print(f"{name}: left out, there is no {model} (set TINYML_CORPUS)")
            continue
        try:
            result = renew(name) if arguments.renew else check(name)
        except (InputError, RegressionError) as error:
            print(error)
            worst = 1
        else:
            assert result.flash is not None
            print(f"{name}: {result.per_inference.median:,} instructions, {result.flash.total:,} bytes of flash")
    return worst


if __name__ == "__main__":
    sys.exit(main())
