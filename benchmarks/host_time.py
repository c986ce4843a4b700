"""What the user waits for: `tinyml --help`, generating vww, a warm and a cold `tinyml bench` of kws.

    python benchmarks/host_time.py

Wall seconds of whole processes, the median of five runs (one for the cold run, which starts with empty caches).
The goal of each stands beside it. Models are read from $TINYML_CORPUS, default ../shared/models.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = Path(os.environ.get("TINYML_CORPUS", HERE.parents[1] / "shared" / "models"))
TINYML = Path(sys.executable).with_name("tinyml")


def seconds(command: list[str], runs: int, environment: dict[str, str] | None = None) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **(environment or {})})
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    scratch = Path(tempfile.mkdtemp())
    bench = [str(TINYML), "bench", str(CORPUS / "mlperf_tiny/kws.tflite"), "--board", "mps2-an386", "--json", "-"]
    generate = [str(TINYML), "generate", str(CORPUS / "mlperf_tiny/vww.tflite"), "-o", str(scratch / "vww")]
    try:
        measurements = (
            ("tinyml --help", seconds([str(TINYML), "--help"], 5), 0.3),
            ("tinyml generate vww", seconds(generate, 5), 2.0),
            ("tinyml bench kws, cold", seconds(bench, 1, {"XDG_CACHE_HOME": str(scratch / "cache")}), 60.0),
            ("tinyml bench kws, warm", seconds(bench, 5), 5.0),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for name, taken, goal in measurements:
        print(f"{name:24} {taken:7.2f} s   goal {goal:5.1f} s   {taken / goal:4.0%} of it")


if __name__ == "__main__":
    main()
