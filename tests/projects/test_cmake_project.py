"""The CMake project is built by CMake, and its firmware is the one that `tinyml bench` measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.firmware_check import DIGITS, run_bit_exact, run_tool
from support.tools import TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark, generate
from tinyml_sdk.errors import BoardError

CONSUMER = """
cmake_minimum_required(VERSION 3.21)
project(consumer C)
add_subdirectory(model)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE digits_model)
"""

CONSUMER_C = """
#include "digits.h"
static int32_t arena[(DIGITS_ARENA_BYTES + 3u) / 4u];
int main(void) { return digits_init(arena, sizeof arena) || digits_invoke(); }
"""


def test_the_folder_has_what_cmake_users_look_for(tmp_path: Path) -> None:
    project = generate(DIGITS, tmp_path / "p", board="mps2-an386", project="cmake")
    assert {"CMakeLists.txt", "CMakePresets.json", "README.md", "cmake/zig.cmake", "model/CMakeLists.txt"} <= set(
        project.files
    )
    presets = json.loads(project.files["CMakePresets.json"])
    assert [preset["name"] for preset in presets["buildPresets"]] == ["gnu_arm", "zig"]
    assert "-mcpu=cortex_m4+vfp4d16sp" in project.files["cmake/zig.cmake"]
    assert "-mfpu=fpv4-sp-d16" in project.files["cmake/gnu_arm.cmake"]
    assert len(project.files["README.md"].splitlines()) <= 12


def test_a_board_without_that_project_says_which_it_has(tmp_path: Path) -> None:
    with pytest.raises(BoardError) as caught:
        generate(DIGITS, tmp_path / "p", board="mps2-an386", project="esp_idf")
    assert "esp_idf" in str(caught.value)
    assert "cmake" in caught.value.hint
    assert not (tmp_path / "p").exists()


def test_a_board_that_arms_compiler_cannot_build_has_no_preset_for_it(tmp_path: Path) -> None:
    project = generate(DIGITS, tmp_path / "p", board="virt-rv32", project="cmake")
    presets = json.loads(project.files["CMakePresets.json"])
    assert [preset["name"] for preset in presets["buildPresets"]] == ["zig"]
    assert "cmake/gnu_arm.cmake" not in project.files
    assert "gnu_arm" not in project.files["README.md"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "board", "optimize"),
    [
        *((preset, "mps2-an386", "speed") for preset in ("zig", "gnu_arm")),
        *((preset, "netduinoplus2", "size") for preset in ("zig", "gnu_arm")),
        *((preset, "microbit", "speed") for preset in ("zig", "gnu_arm")),
        ("zig", "virt-rv32", "speed"),
    ],
)
def test_cmake_builds_the_firmware_that_bench_measures(tmp_path: Path, preset: str, board: str, optimize: str) -> None:
    require_tool("cmake")
    require_tool("unicorn")
    require_tool(TOOLCHAIN_TOOLS[preset])
    generate(DIGITS, tmp_path, board=board, project="cmake", optimize=optimize)
    run_tool("cmake", "--preset", preset, cwd=tmp_path)
    said = run_tool("cmake", "--build", "--preset", preset, cwd=tmp_path)
    assert "warning" not in said
    measured = run_bit_exact(tmp_path / "build" / preset / "firmware.elf", board)
    ours = benchmark(DIGITS, board=board, toolchain=preset, optimize=optimize)
    # The kernels are the same; placement of functions may change a literal pool here and there.
    assert measured.counts[0] == pytest.approx(ours.per_inference.median, rel=0.01)


@pytest.mark.slow
def test_the_model_folder_is_a_library_for_any_other_project(tmp_path: Path) -> None:
    require_tool("cmake")
    require_tool("cc")
    generate(DIGITS, tmp_path / "p", board="mps2-an386", project="cmake")
    consumer = tmp_path / "consumer"
    consumer.mkdir()
    (tmp_path / "p" / "model").rename(consumer / "model")
    (consumer / "CMakeLists.txt").write_text(CONSUMER)
    (consumer / "consumer.c").write_text(CONSUMER_C)
    run_tool("cmake", "-S", ".", "-B", "build", cwd=consumer)
    run_tool("cmake", "--build", "build", cwd=consumer)
    run_tool(consumer / "build" / "consumer", cwd=consumer)
