"""The same model gives the same bytes, wherever and whenever; ELFs too."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tools import TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import build_firmware, generate

DIGITS = Path(__file__).parents[1] / "examples" / "digits" / "digits.tflite"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_projects_are_equal_in_two_folders(tmp_path):
    for folder in ("a", "deep/er/b"):
        generate(DIGITS, tmp_path / folder, board="mps2-an386")
    first = contents(tmp_path / "a")
    assert first == contents(tmp_path / "deep/er/b")
    assert "model/digits.c" in first
    # Generating again over an untouched folder is allowed and changes nothing.
    generate(DIGITS, tmp_path / "a", board="mps2-an386")
    assert contents(tmp_path / "a") == first


@pytest.mark.slow
@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
def test_elfs_are_equal_in_two_folders(tmp_path, toolchain):
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    elfs = [
        build_firmware(DIGITS, tmp_path / folder, board="mps2-an386", toolchain=toolchain).elf.read_bytes()
        for folder in ("a", "another/b")
    ]
    assert elfs[0] == elfs[1]
