"""What all project layouts are made from, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...boards import Board
from ...resources import templates_dir
from ..model_source import ModelSource
from ..port_files import PortFiles
from ..templates import render

__all__ = ["Application", "Contents", "Layout", "app_files", "config_file", "port_texts", "within"]

Application = Literal["benchmark", "mlperf"]
"""What runs the model: the application of `tinyml bench`, or one for MLPerf Tiny's runner."""

_SHARED_APP_FILES = ("main.c", "port.h", "little_endian.h", "small_code.h")
"""Those of `app/` that `app_mlperf/` takes as well."""


@dataclass(frozen=True)
class Contents:
    """What goes into a project, whatever its layout.

    Attributes:
        name: The model's, the prefix of its C symbols.
        source: The model library.
        board: None for a program of the host.
        app: Which application.
        context: What templates may use; `project.py` makes it.
    """

    name: str
    source: ModelSource
    board: Board | None
    app: Application
    context: Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """A project's files (path relative to its folder → text), and what a compiler that is called directly needs.

    Attributes:
        sources: C and C++ files; empty where only the project's own build system knows how to build it.
    """

    files: Mapping[str, str]
    sources: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ()
    linker_script: str | None = None


def within(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """Files below another folder."""
    return {f"{folder}/{path}": text for path, text in files.items()}


def app_files(app: Application, *, main: bool = True) -> dict[str, str]:
    """An application. A framework with a `main` of its own leaves ours out."""
    folder = templates_dir() / "app"
    paths = [path for path in folder.iterdir() if path.suffix in (".c", ".h")]
    if app == "mlperf":
        own = (templates_dir() / "app_mlperf").glob("*.[ch]")
        paths = [*(path for path in paths if path.name in _SHARED_APP_FILES), *own]
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(paths, key=lambda path: path.name)
        if main or path.name != "main.c"
    }


def port_texts(port: PortFiles) -> dict[str, str]:
    """The files of a port, in its folders."""
    ports = templates_dir() / "ports"
    return {name: (ports / name).read_text(encoding="utf-8") for name in (*port.sources, *port.headers)}


def config_file(contents: Contents) -> str:
    """`app_config.h`: what the application knows of its model and board."""
    return render("projects/common/app_config.h.j2", contents.context)
