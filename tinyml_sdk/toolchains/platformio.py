"""PlatformIO, for the projects of `--project platformio`. Boards that exist in emulators only are built offline."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sys
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..boards.model import Board
from ..errors import BuildError, MissingToolError
from .base import BuildJob, BuildResult, Toolchain, last_lines, missing_tool, staged_output
from .cache import cache_dir
from .process import VERSION_DEADLINE_S, Completed, run_program
from .zig import zig_cache

__all__ = ["PlatformioToolchain", "offline_environment"]

_REMEDY = 'pip install "tinyml-sdk[platformio]"'

_SCONS_SCRIPT = """import sys

sys.path.append({folder!r})
import SCons.Script

SCons.Script.main()
"""

_OFFLINE = re.compile(r"HTTPClientError|InternetConnectionError|You are not connected to the Internet")

_NO_NETWORK = "http://127.0.0.1:9"
"""The port `discard`: a build that should need no network fails at once where it wants one, instead of hanging."""


class PlatformioToolchain(Toolchain):
    """`pio run` in the project folder. PlatformIO keeps its objects in `build/platformio`, so a second build is quick.

    Of a job, only the folder, the board and the output matter; platformio.ini says the rest.
    """

    name = "platformio"

    def available(self) -> bool:  # noqa: D102 - as in Toolchain
        return importlib.util.find_spec("platformio") is not None

    def version(self) -> str:  # noqa: D102
        self._require()
        return _version()

    def build(self, job: BuildJob) -> BuildResult:  # noqa: D102
        self._require()
        if job.board is None:
            raise ValueError("PlatformIO builds firmware: the job needs a board")
        workspace = (job.root / "build" / "platformio").resolve()
        environment = {"PLATFORMIO_WORKSPACE_DIR": str(workspace), **_quiet()}
        with ExitStack() as stack:
            staged = stack.enter_context(staged_output(job))
            if job.board.platformio is None:
                environment |= {**offline_environment(), **stack.enter_context(zig_cache())}
            command = [sys.executable, "-m", "platformio", "run", "--environment", job.board.name]
            said = self._run(command, job, environment)
            staged.write_bytes((workspace / "build" / job.board.name / "firmware.elf").read_bytes())
        return BuildResult(job.output, self.name, _version(), _flags(job.board, job), said)

    def _failure(self, done: Completed) -> BuildError:
        if not _OFFLINE.search(done.stderr + done.stdout):
            return super()._failure(done)
        return BuildError(
            "PlatformIO has to download what this board is built with, and does not reach its registry",
            hint="connect this machine to the network for the first build; after that PlatformIO needs none",
            command=done.command_line,
            output=last_lines(done.stderr),
        )

    def _require(self) -> None:
        if not self.available():
            raise missing_tool("PlatformIO", _REMEDY)


def offline_environment() -> dict[str, str]:
    """Variables with which PlatformIO builds from what is installed, without its registry.

    The one package it cannot do without is its build tool, SCons, which PyPI has too: a folder in the cache makes the
    wheel look like PlatformIO's package.

    Raises:
        MissingToolError: the SCons wheel is not installed.
    """
    core = cache_dir("platformio")
    _write_scons_package(core / "packages" / "tool-scons")
    return {
        "PLATFORMIO_CORE_DIR": str(core),
        "HTTP_PROXY": _NO_NETWORK,
        "HTTPS_PROXY": _NO_NETWORK,
        "NO_PROXY": "",
        **_quiet(),
    }


def _quiet() -> dict[str, str]:
    return {
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "false",
        "PLATFORMIO_NO_ANSI": "true",
    }


def _write_scons_package(folder: Path) -> None:
    scons = importlib.util.find_spec("SCons")
    if scons is None or scons.origin is None:
        raise missing_tool("SCons, which PlatformIO builds with,", _REMEDY)
    # PlatformIO asks for a range such as ~4.41101.0 and accepts its lower end.
    name, version = "tool-scons", re.sub(r"^\W*", "", _scons_requirement())
    specification = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    texts = {
        "package.json": json.dumps({"name": name, "version": version, "description": "The SCons wheel", "system": "*"}),
        # Without this file PlatformIO takes the package for another one and asks its registry.
        ".piopm": json.dumps({"type": "tool", "name": name, "version": version, "spec": specification}),
        # Keeps PlatformIO's clean-up away.
        ".piokeep": "",
        "scons.py": _SCONS_SCRIPT.format(folder=str(Path(scons.origin).parents[1])),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        target = folder / file
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            partial = target.with_name(f"{file}.{os.getpid()}")
            partial.write_text(text, encoding="utf-8")
            partial.replace(target)


def _scons_requirement() -> str:
    """The versions of its package `tool-scons` that this PlatformIO accepts."""
    dependencies: Any = importlib.import_module("platformio.dependencies")
    return str(dependencies.get_core_dependencies()["tool-scons"])


def _flags(board: Board, job: BuildJob) -> tuple[str, ...]:
    """What platformio.ini asks for, as far as it decides the code that is generated."""
    kind = board.platformio
    ids = (f"platform={kind.platform}", f"board={kind.board}", f"framework={kind.framework}") if kind else ()
    return ("-Os" if job.optimize == "size" else "-O2", *ids)


@lru_cache
def _version() -> str:
    done = run_program(
        [sys.executable, "-m", "platformio", "--version"], deadline=VERSION_DEADLINE_S, environment=_quiet()
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise MissingToolError(f"PlatformIO does not start: {said[-1].strip()}", hint=_REMEDY)
    return done.stdout.rpartition(" ")[2].strip()
