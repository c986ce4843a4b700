"""The generated model library: deterministic, formatted, warning-free, usable from C++ and beside other models."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.chains import Chain, Stage

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.codegen import generate_model
from tinyml_sdk.graph import parse_graph, read_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import StreamedLayer, plan_memory, stream_layers

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]


def generate(folder: Path, optimize: str = "speed", source: str = "digits.tflite") -> dict[str, str]:
    graph = parse_graph(DIGITS.read_bytes(), source)
    layers = lower_graph(graph)
    files = dict(generate_model(graph, layers, plan_memory(graph, layers), optimize).files)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_same_model_same_bytes(tmp_path):
    assert generate(tmp_path / "a") == generate(tmp_path / "b")


def test_nothing_of_this_machine_or_moment_gets_in(tmp_path):
    for name, text in generate(tmp_path).items():
        assert str(ROOT) not in text, name
        assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text), name


@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_compiles_without_a_warning(tmp_path, optimize):
    generate(tmp_path, optimize)
    run("cc", *WARNINGS, "-O2", "-c", "digits.c", "digits_weights.c", cwd=tmp_path)


@pytest.mark.parametrize("core", [None, pytest.param("cortex-m4", marks=pytest.mark.slow)])
def test_streams_are_formatted_and_compile_without_a_warning(tmp_path, core):
    stages = (Stage(channels=8), Stage(channels=8), Stage("ADD"), Stage("DEPTHWISE_CONV_2D", stride=(2, 2)))
    graph = parse_graph(Chain((32, 32, 8), stages).model(), "stream.tflite")
    layers = stream_layers(graph, lower_graph(graph, CORES.get(core)), CORES.get(core)).layers
    assert any(isinstance(layer, StreamedLayer) for layer in layers)
    for optimize in ("speed", "size"):
        files = generate_model(graph, layers, plan_memory(graph, layers), optimize).files
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        shutil.copy(ROOT / ".clang-format", tmp_path)
        run(Path(sys.executable).with_name("clang-format"), "--dry-run", "-Werror", "stream.c", cwd=tmp_path)
        run("cc", *WARNINGS, "-O2", "-c", "stream.c", "stream_weights.c", cwd=tmp_path)


def test_is_formatted(tmp_path):
    files = generate(tmp_path)
    shutil.copy(ROOT / ".clang-format", tmp_path)
    clang_format = Path(sys.executable).with_name("clang-format")
    run(clang_format, "--dry-run", "-Werror", *[name for name in files if name.endswith((".c", ".h"))], cwd=tmp_path)


def test_two_models_and_cpp_in_one_program(tmp_path):
    """Both models in one C++ program: symbols do not clash, the header is C++-safe, misuse is refused."""
    generate(tmp_path / "one", source="one.tflite")
    generate(tmp_path / "two", source="two.tflite")
    for name in ("one", "two"):
        run("cc", *WARNINGS, "-c", f"{name}.c", f"{name}_weights.c", cwd=tmp_path / name)
    (tmp_path / "main.cpp").write_text("""
        #include "one/one.h"
        #include "two/two.h"
        #include <cstring>
        alignas(4) static int8_t a[ONE_ARENA_BYTES], b[TWO_ARENA_BYTES];
        int main() {
          if (one_invoke() != -1 || one_input(0) != nullptr) return 1;
          if (one_init(a, ONE_ARENA_BYTES - 1) != -1 || one_init(a + 1, ONE_ARENA_BYTES) != -1) return 2;
          if (one_init(nullptr, ONE_ARENA_BYTES) != -1) return 3;
          if (one_init(a, sizeof a) != 0 || two_init(b, sizeof b) != 0) return 4;
          if (one_input(1) != nullptr || one_output(9) != nullptr) return 5;
          std::memset(one_input(0), 5, ONE_INPUT_0_BYTES);
          std::memset(two_input(0), 5, TWO_INPUT_0_BYTES);
          if (one_invoke() != 0) return 6;
          for (unsigned layer = 0; layer < TWO_LAYER_COUNT; ++layer) if (two_invoke_layer(layer) != 0) return 7;
          if (two_invoke_layer(TWO_LAYER_COUNT) != -1) return 8;
          return std::memcmp(one_output(0), two_output(0), ONE_OUTPUT_0_BYTES) == 0 ? 0 : 9;
        }""")
    objects = [*(tmp_path / "one").glob("*.o"), *(tmp_path / "two").glob("*.o")]
    run("c++", "-std=c++11", "-Wall", "-Wextra", "main.cpp", *objects, "-o", "both", cwd=tmp_path)
    run("./both", cwd=tmp_path)


def test_weight_bytes_are_those_of_the_arrays(tmp_path):
    graph = read_graph(DIGITS)
    layers = lower_graph(graph)
    source = generate_model(graph, layers, plan_memory(graph, layers))
    size = {"int8_t": 1, "int32_t": 4}
    declared = re.findall(r"extern const (\w+) (\w+)\[(\d+)\];", source.files["digits_weights.h"])
    assert sum(size[c_type] * int(count) for c_type, _, count in declared) == source.weight_bytes
    assert {symbol for _, symbol, _ in declared} == source.weight_symbols
