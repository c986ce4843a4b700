"""Where each kind of project gets TensorFlow Lite Micro from, and what its files say of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tinyml_sdk import load_board
from tinyml_sdk.codegen import ArenaSize, ProjectKind
from tinyml_sdk.codegen.project import generate_project
from tinyml_sdk.errors import BoardError
from tinyml_sdk.tflm import inspect_tflm_model

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
ARENA = ArenaSize(6048, "Made up for a test.")


def files_of(board: str, kind: ProjectKind) -> Mapping[str, str]:
    model = inspect_tflm_model(DIGITS, board)
    return generate_project(model.graph, model.source(ARENA, kind), load_board(board), "speed", kind).files


def test_cmake_looks_for_the_library_of_the_core() -> None:
    files = files_of("mps2-an500", "cmake")
    assert "cmake/zig.cmake" not in files
    assert [preset["name"] for preset in json.loads(files["CMakePresets.json"])["buildPresets"]] == ["gnu_arm"]
    assert "cortex_m_generic_cortex-m7+fp_" in files["model/CMakeLists.txt"]
    assert "TARGET_ARCH=cortex-m7+fp FPU=fpv5-sp-d16" in files["model/CMakeLists.txt"]
    assert "digits_data.cpp" in files["model/CMakeLists.txt"]


def test_esp_idf_fetches_espressif_s_component() -> None:
    files = files_of("esp32-s3-devkitc-1", "esp_idf")
    manifest = yaml.safe_load(files["components/digits/idf_component.yml"])
    assert "espressif/esp-tflite-micro" in manifest["dependencies"]
    assert "digits.cpp" in files["components/digits/CMakeLists.txt"]
    assert "Register_CONV_2D_INT8" in files["components/digits/digits.cpp"]


@pytest.mark.parametrize("board", ["nano33ble", "esp32-s3-devkitc-1"])
def test_arduino_and_platformio_depend_on_the_library_that_both_know(board: str) -> None:
    arduino = files_of("nano33ble", "arduino")
    assert "depends=Chirale_TensorFLowLite\n" in arduino["library.properties"]
    assert arduino["src/digits.cpp"].index("<Chirale_TensorFlowLite.h>") < arduino["src/digits.cpp"].index(
        '"tensorflow/'
    )
    platformio = files_of(board, "platformio")
    on_arduino = load_board(board).platformio.framework == "arduino"  # type: ignore[union-attr]
    assert ("Chirale_TensorFLowLite" in platformio["platformio.ini"]) == on_arduino
    library = json.loads(platformio["lib/digits/library.json"])
    assert ("spaziochirale/Chirale_TensorFLowLite" in library.get("dependencies", {})) == on_arduino
    assert ("src/idf_component.yml" in platformio) != on_arduino


@pytest.mark.parametrize(
    ("board", "kind"), [("mps2-an386", "baremetal"), ("mps2-an386", "cmake"), ("nano33ble", "arduino")]
)
def test_readmes_do_not_promise_what_does_not_hold(board: str, kind: ProjectKind) -> None:
    readme = files_of(board, kind)["README.md"]
    assert "nothing" not in readme
    assert "TensorFlow Lite Micro" in readme
    assert "zig" not in readme
    assert len(readme.splitlines()) <= 15


def test_boards_of_emulators_have_no_registry_to_get_it_from() -> None:
    with pytest.raises(BoardError, match="builds with zig"):
        files_of("mps2-an386", "platformio")


@pytest.mark.parametrize("kind", ["baremetal", "cmake"])
def test_its_makefile_makes_libraries_of_cortex_m_only(kind: ProjectKind) -> None:
    with pytest.raises(BoardError, match="Cortex-M only, this board has a riscv32imc"):
        files_of("virt-rv32", kind)
