"""zig and arm-none-eabi-gcc: whole ELFs or none, the same bytes anywhere, and one clear error for each failure."""

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.probe import probe_job, write_project
from support.tools import TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk.errors import BoardError, BuildError, InputError, MissingToolError
from tinyml_sdk.toolchains import BuildJob, Toolchain, base, get_toolchain, gnu_arm, list_toolchains, read_sections, zig

CROSS = ("zig", "gnu_arm")
BOARDS = ("microbit", "mps2-an385", "mps2-an386", "mps2-an500")


@pytest.fixture(params=CROSS)
def toolchain(request: pytest.FixtureRequest) -> Toolchain:
    require_tool(TOOLCHAIN_TOOLS[request.param])
    return get_toolchain(request.param)


def test_gnu_arm_is_told_apart_from_a_risc_v_board(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="compiles for Arm only"):
        get_toolchain("gnu_arm").build(job_in(tmp_path, "virt-rv32"))


def job_in(root: Path, board: str = "mps2-an386", optimize: str = "speed") -> BuildJob:
    write_project(root, board)
    return probe_job(root, board, optimize)


def leftovers(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("board", BOARDS)
def test_builds_for_each_core_without_a_warning_or_a_leftover(toolchain: Toolchain, board: str, tmp_path: Path) -> None:
    result = toolchain.build(job_in(tmp_path, board))
    assert result.elf == tmp_path / "build" / "probe.elf"
    assert leftovers(tmp_path) == {"probe.c", "probe.ld", "build/probe.elf"}
    assert result.toolchain == toolchain.name
    assert re.match(r"\d+\.\d+", result.version)
    assert result.version == toolchain.version()
    assert "-O2" in result.flags
    assert not any(str(tmp_path) in flag for flag in result.flags)
    assert result.warnings == ""


def test_two_folders_give_the_same_bytes(toolchain: Toolchain, tmp_path: Path) -> None:
    first = toolchain.build(job_in(tmp_path / "one")).elf.read_bytes()
    second = toolchain.build(job_in(tmp_path / "another folder" / "two")).elf.read_bytes()
    assert first == second
    assert str(tmp_path).encode() not in first


@pytest.mark.slow
def test_an_empty_cache_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool("ziglang")
    job = job_in(tmp_path / "project")
    cached = get_toolchain("zig").build(job).elf.read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert get_toolchain("zig").build(job).elf.read_bytes() == cached
    compiled = set((tmp_path / "cache" / "tinyml-sdk" / "zig" / "o").iterdir())
    get_toolchain("zig").build(job)
    assert set((tmp_path / "cache" / "tinyml-sdk" / "zig" / "o").iterdir()) == compiled, "nothing, the second time"


def test_size_is_smaller_than_speed(toolchain: Toolchain, tmp_path: Path) -> None:
    small = toolchain.build(job_in(tmp_path / "size", optimize="size"))
    fast = toolchain.build(job_in(tmp_path / "speed"))
    assert "-Os" in small.flags
    assert read_sections(small.elf, frozenset()).flash < read_sections(fast.elf, frozenset()).flash


def test_warnings_are_on_but_do_not_fail(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    (tmp_path / "extra.c").write_text(
        f"signed char narrow(int x);\nsigned char narrow(int x) {{ return x; }} /* {time.time()} */\n"
    )
    result = toolchain.build(replace(job, sources=(*job.sources, "extra.c")))
    assert "extra.c:2" in result.warnings
    assert "onversion" in result.warnings


def test_a_compile_error_names_file_line_and_cause(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    (tmp_path / "broken.c").write_text("int fine;\nint broken(void) { return missing_name; }\n")
    with pytest.raises(BuildError) as caught:
        toolchain.build(replace(job, sources=(*job.sources, "broken.c")))
    assert caught.value.where.startswith("broken.c:2")
    assert "missing_name" in caught.value.message
    assert "broken.c" in caught.value.command
    assert "missing_name" in caught.value.output
    assert leftovers(tmp_path) == {"probe.c", "probe.ld", "broken.c"}


def test_a_failing_build_keeps_the_last_good_elf(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    before = toolchain.build(job).elf.read_bytes()
    (tmp_path / "probe.c").write_text("#error no\n")
    with pytest.raises(BuildError, match="no"):
        toolchain.build(job)
    assert job.output.read_bytes() == before


def test_a_link_error_names_the_symbol(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    text = (tmp_path / "probe.c").read_text()
    (tmp_path / "probe.c").write_text(
        text.replace("int main(void) {", "void nowhere(void);\nint main(void) {\n nowhere();")
    )
    with pytest.raises(BuildError, match=r"undefined.*nowhere"):
        toolchain.build(job)


def test_too_little_memory_is_reported_as_the_linker_says_it(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    script = (tmp_path / "probe.ld").read_text()
    (tmp_path / "probe.ld").write_text(script.replace("LENGTH = 0x400000", "LENGTH = 0x200"))
    with pytest.raises(BuildError) as caught:
        toolchain.build(job)
    assert re.search("will not fit in region|overflowed by", caught.value.output)
    assert re.search("will not fit in region|overflowed by", caught.value.message)


def test_a_source_that_is_not_there(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    with pytest.raises(InputError, match=r"no\.c: no such source"):
        toolchain.build(replace(job, sources=("no.c",)))


def test_an_output_that_cannot_be_written(toolchain: Toolchain, tmp_path: Path) -> None:
    job = job_in(tmp_path)
    (tmp_path / "build").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        toolchain.build(job)


def test_a_missing_toolchain_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(zig, "find_zig", lambda: None)
    for name, remedy in (("zig", "tinyml-sdk[zig]"), ("gnu_arm", "gcc-arm-none-eabi")):
        assert not get_toolchain(name).available()
        with pytest.raises(MissingToolError) as caught:
            get_toolchain(name).build(job_in(tmp_path / name))
        assert remedy in caught.value.hint
        with pytest.raises(MissingToolError):
            get_toolchain(name).version()


def fake_gcc(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "arm-none-eabi-gcc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    gnu_arm._version.cache_clear()


def test_a_compiler_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gcc(tmp_path, monkeypatch, f"sleep 987 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait")
    monkeypatch.setattr(base, "BUILD_DEADLINE_S", 0.5)
    with pytest.raises(BuildError, match=r"did not finish within 0\.5 s"):
        get_toolchain("gnu_arm").build(job_in(tmp_path / "project"))
    if not (tmp_path / "child").exists():  # so slow a machine that there was none yet
        return
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    # Gone, or dead and waiting for whoever adopted it. The state follows the name, which is in parentheses.
    assert not child.exists() or child.read_text().rpartition(") ")[2].startswith("Z")


def test_a_compiler_that_crashes_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gcc(tmp_path, monkeypatch, "kill -SEGV $$")
    with pytest.raises(BuildError, match="ended by signal 11"):
        get_toolchain("gnu_arm").build(job_in(tmp_path / "project"))


def test_gcc_without_newlib_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gcc(tmp_path, monkeypatch, 'case "$*" in *nostartfiles*) echo "ld: cannot find -lc_nano" >&2; exit 1;; esac')
    with pytest.raises(MissingToolError) as caught:
        get_toolchain("gnu_arm").build(job_in(tmp_path / "project"))
    assert "libnewlib" in caught.value.hint


def test_an_unknown_name() -> None:
    assert list_toolchains() == ("zig", "gnu_arm", "platformio", "host")
    with pytest.raises(InputError, match="no toolchain 'tcc'"):
        get_toolchain("tcc")
