"""The real PlatformIO builds the project offline, runs it as its upload, and the firmware is what bench measures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.firmware_check import DIGITS, run_tool
from support.tools import require_tool

from tinyml_sdk import benchmark, build_firmware, generate, load_board
from tinyml_sdk.errors import BuildError, MissingToolError
from tinyml_sdk.flash import choose_way
from tinyml_sdk.toolchains import get_toolchain, platformio
from tinyml_sdk.toolchains.platformio import offline_environment
from tinyml_sdk.toolchains.process import Completed

ROOT = Path(__file__).parents[2]
PIO = (sys.executable, "-m", "platformio")


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own: PlatformIO begins with nothing installed."""
    require_tool("platformio")
    require_tool("ziglang")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tinyml-sdk" / "platformio"


def test_the_folder_has_what_platformio_users_look_for(tmp_path: Path) -> None:
    project = generate(DIGITS, tmp_path / "p", board="mps2-an386", project="platformio")
    assert {"platformio.ini", "README.md", "src/main.c", "include/app_config.h", "lib/digits/library.json"} <= set(
        project.files
    )
    library = json.loads(project.files["lib/digits/library.json"])
    assert library["name"] == "digits"
    assert library["build"]["flags"] == ["-O2"]
    assert "lib/digits/src/kernels/dsp/conv_2d_dsp.h" in project.files
    assert len(project.files["README.md"].splitlines()) <= 12


def test_what_platformio_leaves_behind_is_nobodys_work(tmp_path: Path) -> None:
    generate(DIGITS, tmp_path / "p", board="mps2-an386", project="platformio")
    (tmp_path / "p" / ".pio" / "build").mkdir(parents=True)
    (tmp_path / "p" / ".pio" / "build" / "project.checksum").write_text("0")
    generate(DIGITS, tmp_path / "p", board="mps2-an386", project="platformio")


@pytest.mark.slow
@pytest.mark.parametrize(("board", "optimize"), [("mps2-an386", "speed"), ("microbit", "size")])
def test_platformio_builds_the_firmware_that_zig_builds(board: str, optimize: str) -> None:
    require_tool("platformio")
    require_tool("ziglang")
    require_tool("unicorn")
    theirs, ours = (benchmark(DIGITS, board=board, toolchain=name, optimize=optimize) for name in ("platformio", "zig"))
    assert theirs.check.bit_exact
    assert theirs.per_inference.median == pytest.approx(ours.per_inference.median, rel=0.01)
    assert theirs.flash.weights == ours.flash.weights
    assert theirs.toolchain.name == "platformio"


@pytest.mark.slow
def test_upload_runs_it_without_any_network(core: Path, tmp_path: Path) -> None:
    require_tool("unicorn")
    generate(DIGITS, tmp_path / "p", board="mps2-an386", project="platformio")
    said = run_tool(
        *PIO, "run", "-t", "upload", cwd=tmp_path / "p", **offline_environment(), PYTHONPATH=str(ROOT), timeout=900
    )
    assert "digits runs on mps2-an386: " in said
    assert "Flash: [" in said
    assert "warning:" not in said
    assert (core / "packages" / "tool-scons" / ".piopm").is_file()


@pytest.mark.slow
def test_a_compile_error_is_the_projects_error(core: Path, tmp_path: Path) -> None:
    firmware = build_firmware(DIGITS, tmp_path / "p", board="mps2-an386", toolchain="platformio")
    good = firmware.elf.read_bytes()
    (tmp_path / "p" / "src" / "main.c").write_text("int main(void) { return missing_name; }\n")
    job = platformio.BuildJob(tmp_path / "p", (), (), None, firmware.board, "speed", firmware.elf)
    with pytest.raises(BuildError) as caught:
        get_toolchain("platformio").build(job)
    assert "missing_name" in caught.value.message
    assert caught.value.where.startswith("src/main.c:1")
    assert firmware.elf.read_bytes() == good


def test_without_platformio_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformio.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingToolError) as caught:
        build_firmware(DIGITS, tmp_path / "p", board="mps2-an386", toolchain="platformio")
    assert "tinyml-sdk[platformio]" in caught.value.hint


def test_a_board_on_a_port_is_flashed_from_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ESP32's boot loader and partition table are PlatformIO's: it must upload, not a tool that has the ELF only."""
    asked: dict[str, object] = {}

    class AskedError(Exception):
        pass

    def serial_target(*_: object, **options: object) -> None:
        asked.update(options)
        raise AskedError

    monkeypatch.setattr("tinyml_sdk.bench.benchmark.SerialTarget", serial_target)
    for toolchain, project in (("platformio", tmp_path / "p"), ("zig", None)):
        with pytest.raises(AskedError):
            benchmark(DIGITS, board="esp32dev", port="/dev/null", toolchain=toolchain, project_dir=tmp_path / "p")
        assert asked["project"] == project
    esp32 = load_board("esp32dev")
    assert choose_way(esp32, project=tmp_path / "p").tool == "platformio"
    assert choose_way(esp32).tool == "esptool"


def test_a_platform_that_cannot_be_downloaded_is_one_clear_error() -> None:
    """The real PlatformIO says this too, after trying for a minute."""
    error = platformio.PlatformioToolchain()._failure(Completed("pio run", 1, "", "HTTPClientError: \n"))
    assert "has to download" in str(error)
    assert "network" in error.hint
