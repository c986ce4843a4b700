"""What read_sections adds up, against what is known to be in the file and what binutils say."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.probe import probe_job, write_project
from support.tools import TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk.errors import InputError
from tinyml_sdk.toolchains import get_toolchain, read_compiler, read_sections
from tinyml_sdk.toolchains.elf import compiler_in

TABLES = """
#include <stdint.h>
const uint8_t big[1000] = {1}, small[24] = {2}, unused[512] = {3};
uint32_t variables[10] = {4};
uint8_t zeroed[2000];
uint32_t use(uint32_t i);
uint32_t use(uint32_t i) { return big[i] + small[i % 24u] + variables[i % 10u]++ + zeroed[i]++; }
"""


@pytest.fixture(params=["zig", "gnu_arm"])
def elf(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    require_tool(TOOLCHAIN_TOOLS[request.param])
    write_project(tmp_path, "netduinoplus2")
    probe = tmp_path / "probe.c"
    text = probe.read_text().replace(
        "int main(void) {", "uint32_t use(uint32_t);\nint main(void) {\n magic += use(magic);"
    )
    probe.write_text(text)
    (tmp_path / "tables.c").write_text(TABLES)
    job = probe_job(tmp_path, "netduinoplus2")
    return get_toolchain(request.param).build(replace(job, sources=("probe.c", "tables.c"))).elf


def test_sizes(elf: Path) -> None:
    use = read_sections(elf, frozenset({"big", "small", "unused", "no such symbol"}))
    assert use.weights == 1024
    assert 48 <= use.data <= 56  # variables, the probe's own word and its float
    assert 2520 <= use.bss <= 2530  # zeroed, and the probe's 512 bytes and 8 that are not cleared
    assert use.flash == use.code + use.weights + use.data
    assert read_sections(elf, frozenset()).flash == use.flash


def test_binutils_agree(elf: Path) -> None:
    require_tool("arm-none-eabi-size")
    said = subprocess.run(["arm-none-eabi-size", elf], capture_output=True, text=True, check=True).stdout
    text, data, bss = (int(field) for field in said.splitlines()[1].split()[:3])
    use = read_sections(elf, frozenset())
    assert (use.flash, use.bss) == (text + data, bss)


def test_the_compiler_is_known_by_what_it_left(elf: Path, request: pytest.FixtureRequest) -> None:
    name, version = read_compiler(elf)
    toolchain = request.node.callspec.params["elf"]
    assert name == {"zig": "clang", "gnu_arm": "GCC"}[toolchain]
    assert toolchain == "zig" or version == get_toolchain("gnu_arm").version()


@pytest.mark.parametrize(
    ("line", "compiler"),
    [
        ("GCC: (15:12.2.rel1-1) 12.2.1 20221205", ("GCC", "12.2.1")),
        ("GCC: (crosstool-NG esp-13.2.0_20240530) 13.2.0", ("GCC", "13.2.0")),
        ("GCC: (GNU Tools for Arm Embedded Processors 7-2017-q4-major) 7.2.1 20170904 (release)", ("GCC", "7.2.1")),
        ("clang version 20.1.2 (https://github.com/ziglang/zig-bootstrap 7ef74e656cf8)", ("clang", "20.1.2")),
        ("Linker: LLD 20.1.2", ("unknown", "unknown")),
    ],
)
def test_lines_that_compilers_leave(line: str, compiler: tuple[str, str]) -> None:
    assert compiler_in(line) == compiler


def test_what_is_no_elf(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not an ELF")
    with pytest.raises(InputError, match="not an ELF"):
        read_sections(tmp_path / "text", frozenset())
    with pytest.raises(InputError, match="cannot be read"):
        read_sections(tmp_path / "nothing", frozenset())
