"""The benchmark application as a program of this machine, with a tiny hand-made model and the sanitizers watching."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

from support.tools import require_tool

from tinyml_sdk.codegen.port_files import host_port_files
from tinyml_sdk.resources import templates_dir

FIRMWARE = Path(__file__).parent / "firmware"
FLAGS = (
    "-std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all "
    "-Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror"
).split()
_BUILDS = tempfile.TemporaryDirectory(prefix="tinyml-test-")


@functools.cache
def build_app(*defines: str) -> Path:
    """The program, compiled once for each set of defines: `TINY_REFUSES`, `TINY_CRASHES`."""
    require_tool("gcc")
    templates = templates_dir()
    program = Path(_BUILDS.name) / "-".join(("app", *defines))
    sources = [
        *sorted((templates / "app").glob("*.c")),
        *(templates / "ports" / source for source in host_port_files().sources),
        FIRMWARE / "tiny.c",
    ]
    includes = ("-I", templates / "app", "-I", FIRMWARE)
    command = ["gcc", *FLAGS, *(f"-D{name}" for name in defines), *includes, *sources, "-o", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program
