"""Programs and libraries of this machine."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from support.tools import require_tool

from tinyml_sdk.errors import BuildError, MissingToolError
from tinyml_sdk.toolchains import BuildJob, HostToolchain, get_toolchain, host

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  static int table[4] = {FIRST, 2, 3, 4};
  printf("%d\\n", table[argc > 1 ? atoi(argv[1]) : 0]);
  return 0;
}
"""


def job(root: Path, text: str, *defines: str) -> BuildJob:
    (root / "source.c").write_text(text)
    return BuildJob(root, ("source.c",), (), None, None, "speed", root / "out" / "result", defines)


def test_a_program(tmp_path: Path) -> None:
    require_tool("cc")
    result = get_toolchain("host").build(job(tmp_path, PROGRAM, "FIRST=17"))
    assert subprocess.run([result.elf], capture_output=True, text=True, check=True).stdout == "17\n"
    assert result.version == get_toolchain("host").version() != ""


def test_sanitizers_end_the_program(tmp_path: Path) -> None:
    require_tool("cc")
    result = HostToolchain(sanitizers=("address", "undefined")).build(job(tmp_path, PROGRAM, "FIRST=1"))
    assert subprocess.run([result.elf, "3"], capture_output=True, check=False).returncode == 0
    broken = subprocess.run([result.elf, "4"], capture_output=True, text=True, check=False)
    assert broken.returncode != 0
    assert "source.c:6" in broken.stderr


@pytest.mark.parametrize("compiler", ["cc", "zig"])
def test_a_library(compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool("ziglang" if compiler == "zig" else compiler)
    if compiler == "zig":
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    library = HostToolchain("library").build(job(tmp_path, "int twice(int);\nint twice(int x) { return 2 * x; }\n"))
    assert ("-mcpu=baseline" in library.flags) == (compiler == "zig")
    assert ctypes.CDLL(str(library.elf)).twice(21) == 42


def test_an_error(tmp_path: Path) -> None:
    require_tool("cc")
    with pytest.raises(BuildError, match="FIRST"):
        get_toolchain("host").build(job(tmp_path, PROGRAM))


def test_none_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(host, "find_zig", lambda: None)
    assert not get_toolchain("host").available()
    with pytest.raises(MissingToolError, match="C compiler"):
        get_toolchain("host").build(job(tmp_path, PROGRAM))
