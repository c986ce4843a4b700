"""Generated C on an Xtensa core: QEMU's lx106, with Debian's compiler. No other emulator of one can be installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.corpus import corpus_model, without_corpus
from support.single_op import varied_inputs
from support.tflm import needs_tflm, run_tflm
from support.tools import require_tool

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.codegen import generate_model
from tinyml_sdk.graph import read_graph
from tinyml_sdk.ops import lower_graph, remove_constant_channels
from tinyml_sdk.plan import plan_memory

HARNESS = Path(__file__).with_name("xtensa")
DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
GCC, QEMU = "xtensa-lx106-elf-gcc", "qemu-system-xtensa"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
FLAGS = ("-std=c99", "-ffreestanding", "-mlongcalls", "-mtext-section-literals", *WARNINGS)

pytestmark = pytest.mark.slow


def run_on_xtensa(model: Path, folder: Path, optimize: str) -> None:
    """Every output byte of eight inputs equals TFLM's."""
    graph = remove_constant_channels(read_graph(model))
    layers = lower_graph(graph, CORES["xtensa-lx6"])
    source = generate_model(graph, layers, plan_memory(graph, layers), optimize)
    for path, text in source.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    inferences = varied_inputs(graph)
    rows = [", ".join(str(value) for value in inputs[0].reshape(-1).tolist()) for inputs in inferences]
    name = graph.name
    (folder / "inputs.h").write_text(
        f'#include "{name}.h"\n#define MODEL(name) {name.upper()}_##name\n'
        + "".join(f"#define model_{call} {name}_{call}\n" for call in ("init", "input", "invoke", "output"))
        + f"static const int8_t inputs[{len(rows)}][{inferences[0][0].size}] = {{\n"
        + "".join(f"    {{{row}}},\n" for row in rows)
        + "};\n"
    )
    sources = [HARNESS / "start.S", HARNESS / "main.c", f"{name}.c", f"{name}_weights.c"]
    level = "-O2" if optimize == "speed" else "-Os"
    link = ["-nostdlib", "-T", HARNESS / "link.ld", "-o", "firmware.elf"]
    subprocess.run([GCC, *FLAGS, level, "-I.", *sources, *link, "-lgcc"], cwd=folder, check=True)
    command = [QEMU, "-M", "sim", "-cpu", "lx106", "-semihosting", "-display", "none", "-kernel", "firmware.elf"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=900, check=True)
    expected = run_tflm(model.read_bytes(), inferences)
    assert done.stdout == b"".join(output.tobytes() for outputs in expected for output in outputs)
    assert len({outputs[0].tobytes() for outputs in expected}) > 1 or np.ptp(expected[0][0]) > 0


@needs_tflm
@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_digits_equals_tflm(tmp_path: Path, optimize: str) -> None:
    require_tool(GCC)
    require_tool(QEMU)
    run_on_xtensa(DIGITS, tmp_path, optimize)


@needs_tflm
@without_corpus
@pytest.mark.parametrize("model", ["kws", "ad"])
def test_published_models_equal_tflm(model: str, tmp_path: Path) -> None:
    require_tool(GCC)
    require_tool(QEMU)
    run_on_xtensa(corpus_model(f"mlperf_tiny/{model}"), tmp_path, "speed")
