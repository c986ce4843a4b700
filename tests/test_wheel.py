"""The wheel, not the tree: installed into an empty environment it carries what it needs and runs the main job."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.tools import require_tool

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_carries_templates_and_boards(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("firmware_templates", "boards"):
        inside = {name.removeprefix("tinyml_sdk/_data/") for name in names}
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert path.relative_to(ROOT).as_posix() in inside
    assert not [name for name in names if name.startswith(("tests/", "examples/", "benchmarks/"))]


def test_wheel_registers_the_command_and_the_pytest_plugin(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        lines = archive.read(name).decode().splitlines()
    assert {"tinyml = tinyml_sdk.__main__:start", "tinyml = tinyml_sdk.pytest_plugin"} <= set(lines)


def test_bench_from_an_empty_environment(wheel, tmp_path):
    require_tool("ziglang")
    require_tool("unicorn")
    run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    run("venv/bin/python", "-m", "pip", "install", "--quiet", f"{wheel}[zig,emulator]", cwd=tmp_path)
    run(
        *("venv/bin/tinyml", "bench", ROOT / "examples/digits/digits.tflite", "--board", "mps2-an386"),
        *("--json", "result.json"),
        cwd=tmp_path,
    )
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["check"]["bit_exact"]
    # Without the tflite-micro wheel the generated C on this machine is the reference, and the result says so.
    assert result["check"]["reference"] == "host"
