"""The generated glue for TFLM, without TFLM: what it says, and how it behaves on a stand-in of the interpreter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tflite_model import ModelBuilder
from support.tools import require_tool

from tinyml_sdk import generate
from tinyml_sdk.codegen import ArenaSize, generate_tflm_model
from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph, read_graph
from tinyml_sdk.ops.tflm import find_registrations, tflm_layers
from tinyml_sdk.resources import templates_dir

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits" / "digits.tflite"
STAND_IN = ROOT / "tests" / "projects" / "stand_ins" / "tflm"

NEEDS, USES = 4096, 3000
STAND_IN_DEFINES = ("-DSTAND_IN_LAYERS=8", "-DSTAND_IN_BYTES=10")
CXX = ("g++", "-std=c++17", "-fno-rtti", "-fno-exceptions", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def digits_source(arena_bytes: int = NEEDS, *, arduino: bool = False) -> dict[str, str]:
    graph = read_graph(DIGITS)
    arena = ArenaSize(arena_bytes, "Made up for a test.")
    return dict(generate_tflm_model(graph, tflm_layers(graph), DIGITS.read_bytes(), arena, arduino=arduino).files)


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def run(*command: object, cwd: Path, needs: int = NEEDS, uses: int = USES) -> str:
    environment = {**os.environ, "STAND_IN_NEEDS": str(needs), "STAND_IN_USES": str(uses)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_resolver_has_exactly_the_operators_of_the_model() -> None:
    source = digits_source()["digits.cpp"]
    assert "MicroMutableOpResolver<6>" in source
    assert re.findall(r"resolver\.(Add\w+)\((.*)\)\);", source) == [
        ("AddConv2D", "Noting(tflite::Register_CONV_2D_INT8())"),
        ("AddDepthwiseConv2D", "tflite::Register_DEPTHWISE_CONV_2D_INT8()"),
        ("AddMaxPool2D", "tflite::Register_MAX_POOL_2D_INT8()"),
        ("AddReshape", ""),
        ("AddFullyConnected", "tflite::Register_FULLY_CONNECTED_INT8()"),
        ("AddSoftmax", "tflite::Register_SOFTMAX_INT8()"),
    ]


def test_a_type_that_is_not_int8_takes_the_kernels_for_all_types() -> None:
    builder = ModelBuilder()
    x = builder.input((1, 8), 0.1, 0)
    middle = builder.tensor((1, 8), 0.1, 0, dtype="int16")
    y = builder.output((1, 8), 0.1, 0)
    builder.op("QUANTIZE", [x], [middle])
    builder.op("QUANTIZE", [middle], [y])
    registrations = find_registrations(parse_graph(builder.build(), "mixed.tflite"))
    assert [(item.method, item.function, item.default) for item in registrations] == [
        ("AddQuantize", "Register_QUANTIZE", True)
    ]


def test_int4_weights_take_their_kernels() -> None:
    """CMSIS-NN's registration for int8 alone would read two weights as one."""

    def functions(*packed: bool) -> list[str]:
        builder = ModelBuilder()
        x = builder.input((1, 4), 0.1, 0)
        for is_packed in packed:
            add = builder.packed_constant if is_packed else builder.constant
            weights = add(np.ones((4, 4), np.int8), 0.1)
            y = builder.tensor((1, 4), 0.1)
            builder.op("FULLY_CONNECTED", [x, weights], [y])
            x = y
        builder.mark_output(x)
        return [item.function for item in find_registrations(parse_graph(builder.build(), "dense.tflite"))]

    assert functions(False) == ["Register_FULLY_CONNECTED_INT8"]
    assert functions(True, True) == ["Register_FULLY_CONNECTED_INT4"]
    assert functions(True, False) == ["Register_FULLY_CONNECTED"]


def test_an_operator_that_tflm_lacks_is_told_before_anything_is_written(tmp_path: Path) -> None:
    builder = ModelBuilder()
    x, y = builder.input((1, 8), 0.1, 0), builder.output((1, 8), 0.1, 0)
    builder.op("LOCAL_RESPONSE_NORMALIZATION", [x], [y])
    model = tmp_path / "odd.tflite"
    model.write_bytes(builder.build())
    with pytest.raises(ModelError) as caught:
        generate(model, tmp_path / "out", runtime="tflm")
    assert "LOCAL_RESPONSE_NORMALIZATION" in caught.value.where
    assert not (tmp_path / "out").exists()


def test_the_file_is_the_array() -> None:
    text = digits_source()["digits_data.cpp"]
    assert bytes(int(byte, 16) for byte in re.findall(r"0x(..),", text)) == DIGITS.read_bytes()
    assert "alignas(16) const unsigned char digits_data[" in text


@pytest.mark.parametrize("arduino", [False, True])
def test_is_formatted(tmp_path: Path, arduino: bool) -> None:
    files = digits_source(arduino=arduino)
    write(tmp_path, {**files, ".clang-format": (ROOT / ".clang-format").read_text()})
    run(Path(sys.executable).with_name("clang-format"), "--dry-run", "-Werror", *files, cwd=tmp_path)


MAIN = """
#include "digits.h"
#include <cstring>
alignas(16) static int8_t arena[2 * DIGITS_ARENA_BYTES], other[DIGITS_ARENA_BYTES];
int main() {
  if (digits_invoke() != -1 || digits_input(0) != nullptr || digits_arena_used_bytes() != 0) return 1;
  if (digits_init(nullptr, sizeof arena) != -1 || digits_init(arena + 4, sizeof other) != -1) return 2;
  if (digits_init(arena, DIGITS_ARENA_BYTES - 1) != -1 || digits_output(0) != nullptr) return 3;
  if (digits_init(arena, sizeof arena) != 0 || digits_arena_used_bytes() != 3000) return 4;
  if (digits_input(1) != nullptr || digits_output(9) != nullptr) return 5;
  std::memset(digits_input(0), 5, 10);
  if (digits_init(arena, sizeof arena) != 0 || digits_input(0)[9] != 5) return 6; /* inputs stay */
  if (digits_invoke() != 0 || digits_output(0)[9] != 5 + 8) return 7;
  if (digits_init(arena, sizeof arena) != 0) return 8;
  for (unsigned layer = 0; layer < DIGITS_LAYER_COUNT; ++layer) {
    if (digits_invoke_layer(layer) != 0) return 9;
    if (digits_output(0)[9] != 5 + 8 + 1 + (int)layer) return 10;
  }
  if (digits_invoke_layer(DIGITS_LAYER_COUNT) != -1 || digits_invoke_layer(3) != -1) return 11;
  if (digits_init(other, sizeof other) != 0 || digits_input(0)[9] != 0) return 12; /* other memory, anew */
  return 0;
}"""


@pytest.mark.parametrize("arduino", [False, True])
def test_the_glue_on_a_stand_in_of_the_interpreter(tmp_path: Path, arduino: bool) -> None:
    require_tool("g++")
    write(tmp_path, {**digits_source(arduino=arduino), "main.cpp": MAIN})
    sources = ("digits.cpp", "digits_data.cpp", "main.cpp")
    run(*CXX, *WARNINGS, *STAND_IN_DEFINES, f"-I{STAND_IN}", *sources, "-o", "program", cwd=tmp_path)
    run("./program", cwd=tmp_path)


@pytest.fixture(scope="module")
def sizing_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware that measures the arena, on the stand-in, as a program of this machine."""
    require_tool("g++")
    folder = tmp_path_factory.mktemp("sizing")
    config = """
        #include "digits.h"
        #define APP_MODEL(member) digits_##member
        #define APP_ARENA_ALIGNMENT 16
        #define APP_INPUT_COUNT 1u
        #define APP_INPUT_BYTES {10u}
        #define APP_OUTPUT_COUNT 1u
        #define APP_OUTPUT_BYTES {10u}
    """
    write(folder, {**digits_source(1), "app_config.h": config})
    run(*CXX, *WARNINGS, *STAND_IN_DEFINES, f"-I{STAND_IN}", "-c", "digits.cpp", "digits_data.cpp", cwd=folder)
    templates = templates_dir()
    c_sources = (templates / "tflm" / "size_arena.c", templates / "ports" / "host" / "port.c")
    flags = (
        "-std=c99",
        "-DSIZING_ARENA_BYTES=100000u",
        "-I.",
        f"-I{templates / 'app'}",
        "-fsanitize=address,undefined",
    )
    run("gcc", *WARNINGS, *flags, "-c", *c_sources, cwd=folder)
    run(*CXX, *sorted(folder.glob("*.o")), "-o", "program", cwd=folder)
    return folder / "program"


@pytest.mark.parametrize(("needs", "uses"), [(4096, 3000), (3008, 3000), (3001, 3000), (17, 16), (65_000, 64)])
def test_the_sizing_firmware_finds_the_least_arena(sizing_program: Path, needs: int, uses: int) -> None:
    said = run(sizing_program, cwd=sizing_program.parent, needs=needs, uses=uses)
    assert said == f"arena {-(-needs // 16) * 16} used {uses}\n"


def test_the_sizing_firmware_says_when_nothing_suffices(sizing_program: Path) -> None:
    assert run(sizing_program, cwd=sizing_program.parent, needs=200_000) == "arena 0 used 0\n"
