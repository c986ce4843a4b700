"""Projects on Arduino and ESP-IDF.

Their frameworks are not here. The very files of each project are compiled against stand-ins for the frameworks'
headers: for the chips' cores to see that they compile, and for this machine to see that they answer, bit exact.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.firmware_check import DIGITS, assert_bit_exact, run_tool
from support.tools import require_tool

from tinyml_sdk import generate, list_boards
from tinyml_sdk.codegen import ProjectKind
from tinyml_sdk.link import Client, CounterKind, SubprocessStream
from tinyml_sdk.toolchains.platformio import offline_environment
from tinyml_sdk.toolchains.zig import find_zig, zig_cache

STAND_INS = Path(__file__).parent / "stand_ins"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror")
ARDUINO_CORES = {
    "nano33ble": ("thumb-freestanding-eabihf", "cortex_m4+vfp4d16sp"),
    "teensy41": ("thumb-freestanding-eabihf", "cortex_m7+fp_armv8d16"),
    "pico": ("thumb-freestanding-eabi", "cortex_m0plus"),
    "pico2": ("thumb-freestanding-eabihf", "cortex_m33+fp_armv8d16sp+dsp"),
    "esp32-c3-devkitm-1": ("riscv32-freestanding-none", "generic_rv32+m+c"),
}


def project(folder: Path, board: str, kind: ProjectKind) -> Path:
    """A generated project, with its sketch as the Arduino builder makes it C++."""
    generate(DIGITS, folder, board=board, project=kind)
    for sketch in folder.rglob("*.ino"):
        sketch.with_suffix(".cpp").write_text(f"#include <Arduino.h>\n{sketch.read_text()}")
    return folder


def sources(folder: Path, leave_out: str = "RunOnce") -> list[Path]:
    files = sorted([*folder.rglob("*.c"), *folder.rglob("*.cpp")])
    return [file for file in files if leave_out not in file.parts]


def include_flags(folder: Path, stand_in: str) -> list[str]:
    folders = {file.parent for file in folder.rglob("*.h") if "kernels" not in file.parts}
    return [f"-I{path}" for path in (STAND_INS / stand_in, *sorted(folders))]


def standard(file: Path) -> str:
    """ESP-IDF compiles C17 with extensions; Arduino cores C11 and C++17."""
    return "-std=gnu++17" if file.suffix == ".cpp" else "-std=gnu17"


def host_program(folder: Path, stand_in: str, core: str, *flags: str) -> Path:
    require_tool("gcc")
    require_tool("g++")
    objects = []
    for index, file in enumerate([*sources(folder), STAND_INS / stand_in / core]):
        objects.append(folder / f"{index}.o")
        compiler = "g++" if file.suffix == ".cpp" else "gcc"
        options = ("-O1", "-fsanitize=address,undefined", standard(file), *WARNINGS, *flags)
        run_tool(compiler, *options, *include_flags(folder, stand_in), "-c", file, "-o", objects[-1], cwd=folder)
    run_tool("g++", "-fsanitize=address,undefined", *objects, "-o", folder / "program", cwd=folder)
    return folder / "program"


def assert_answers(program: Path, board: str, counter: CounterKind) -> None:
    with SubprocessStream([str(program)]) as stream:
        assert_bit_exact(Client(stream), board, counter)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "kind", "counter"),
    [
        ("nano33ble", "arduino", CounterKind.MICROS),
        ("esp32dev", "arduino", CounterKind.ESP_CPU),
        ("nucleo_l4r5zi", "platformio", CounterKind.MICROS),
    ],
)
def test_arduino_projects_answer(tmp_path: Path, board: str, kind: ProjectKind, counter: CounterKind) -> None:
    flags = ("-DARDUINO_ARCH_ESP32",) if counter is CounterKind.ESP_CPU else ()
    program = host_program(project(tmp_path, board, kind), "arduino", "core.cpp", *flags)
    assert_answers(program, board, counter)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "kind", "flags"),
    [
        ("esp32-c3-devkitm-1", "esp_idf", ()),
        ("esp32-s3-devkitc-1", "esp_idf", ("-DUSB_CONSOLE",)),
        ("esp32-c6-devkitc-1", "platformio", ()),
    ],
)
def test_esp_idf_projects_answer(tmp_path: Path, board: str, kind: ProjectKind, flags: Sequence[str]) -> None:
    program = host_program(project(tmp_path, board, kind), "esp_idf", "idf.c", *flags)
    assert_answers(program, board, CounterKind.ESP_CPU)


@pytest.mark.slow
@pytest.mark.parametrize("board", ARDUINO_CORES)
def test_arduino_sketches_compile_for_the_core(tmp_path: Path, board: str) -> None:
    target, cpu = ARDUINO_CORES[board]
    flags = ("-DARDUINO_ARCH_ESP32",) if board.startswith("esp32") else ()
    compile_for(project(tmp_path, board, "arduino"), "arduino", target, cpu, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("-DUSB_CONSOLE",)], ids=["uart", "usb"])
def test_esp_idf_projects_compile_for_the_core(tmp_path: Path, flags: Sequence[str]) -> None:
    folder = project(tmp_path, "esp32-c3-devkitm-1", "esp_idf")
    compile_for(folder, "esp_idf", "riscv32-freestanding-none", "generic_rv32+m+c", *flags)


def compile_for(folder: Path, stand_in: str, target: str, cpu: str, *flags: str) -> None:
    require_tool("ziglang")
    zig = find_zig()
    assert zig is not None
    for file in sources(folder, leave_out=""):
        compiler = "c++" if file.suffix == ".cpp" else "cc"
        options = ("-target", target, f"-mcpu={cpu}", "-O2", standard(file), *WARNINGS, *flags)
        command = (zig, compiler, *options, *include_flags(folder, stand_in), "-c", file, "-o", folder / "file.o")
        with zig_cache() as environment:
            run_tool(*command, cwd=folder, **environment)


@pytest.mark.slow
@pytest.mark.parametrize(("board", "kind"), [("esp32dev", "esp_idf"), ("esp32-s3-devkitc-1", "arduino")])
def test_esp32_projects_compile_for_xtensa(tmp_path: Path, board: str, kind: ProjectKind) -> None:
    """With the compiler for ESP8266's lx106, the one Xtensa that Debian has: calls without register windows."""
    require_tool("xtensa-lx106-elf-gcc")
    folder = project(tmp_path, board, kind)
    target = ("-mlongcalls", "-mtext-section-literals", "-ffreestanding", "-O2")
    flags = ("-DARDUINO_ARCH_ESP32",) if kind == "arduino" else ()
    for file in sources(folder, leave_out=""):
        compiler = f"xtensa-lx106-elf-{'g++' if file.suffix == '.cpp' else 'gcc'}"
        options = (*target, standard(file), *WARNINGS, "-Wconversion", *flags, *include_flags(folder, kind))
        run_tool(compiler, *options, "-c", file, "-o", folder / "file.o", cwd=folder)


def test_an_esp_idf_project_is_one(tmp_path: Path) -> None:
    files = generate(DIGITS, tmp_path / "p", board="esp32-c3-devkitm-1", project="esp_idf").files
    assert 'CONFIG_IDF_TARGET="esp32c3"' in files["sdkconfig.defaults"]
    assert "CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ_160=y" in files["sdkconfig.defaults"]
    assert "project(digits_benchmark)" in files["CMakeLists.txt"]
    for component in ("main", "components/digits"):
        text = files[f"{component}/CMakeLists.txt"]
        listed = {word for word in text.split() if word.endswith(".c")}
        there = {name.rpartition("/")[2] for name in files if name.startswith(f"{component}/") and name.endswith(".c")}
        assert listed == there
        assert "idf_component_register(" in text
        assert f"{component}/idf_component.yml" in files


def test_an_arduino_library_is_one(tmp_path: Path) -> None:
    files = generate(DIGITS, tmp_path / "p", board="nano33ble", project="arduino").files
    properties = dict(line.split("=", 1) for line in files["library.properties"].splitlines())
    # Those that the library specification calls required.
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"} <= set(properties)
    assert properties["includes"] == "digits.h"
    assert "src/digits.h" in files
    for example in ("RunOnce", "Benchmark"):
        assert f"examples/{example}/{example}.ino" in files


@pytest.mark.parametrize("board", [board.name for board in list_boards() if board.platformio])
def test_platformio_ini_has_the_ids_of_the_board(tmp_path: Path, board: str) -> None:
    require_tool("platformio")
    from platformio.project.config import ProjectConfig

    generate(DIGITS, tmp_path / "p", board=board, project="platformio")
    config = ProjectConfig(str(tmp_path / "p" / "platformio.ini"))
    ids = next(known.platformio for known in list_boards() if known.name == board)
    assert ids is not None
    assert config.envs() == config.default_envs() == [board]
    section = f"env:{board}"
    assert config.get(section, "platform") == ids.platform
    assert config.get(section, "board") == ids.board
    assert config.get(section, "framework") == [ids.framework]
    config.validate([board])


@pytest.mark.slow
@pytest.mark.parametrize("board", ["esp32-c6-devkitc-1", "pico2", "nucleo_f446re"])
def test_pio_project_config_reads_it(tmp_path: Path, board: str) -> None:
    require_tool("platformio")
    generate(DIGITS, tmp_path / "p", board=board, project="platformio")
    command = (sys.executable, "-m", "platformio", "project", "config", "--json-output")
    said = run_tool(*command, cwd=tmp_path / "p", timeout=900, **offline_environment())
    sections = dict(json.loads(said[said.index("[[") :]))
    assert dict(sections[f"env:{board}"])["board"]
