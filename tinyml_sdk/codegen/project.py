"""Whole firmware projects: the model library, the benchmark application and the board's port in one folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .. import __version__
from ..boards import Board
from ..boards.model import ProjectKind
from ..errors import BoardError
from ..graph import Graph, Tensor
from .frames import frame_body_bytes
from .layouts import LAYOUTS, Application, Contents, Layout, host_program
from .mlperf import mlperf_task
from .model_source import ModelSource, Optimize, Runtime
from .renode import renode_files

__all__ = ["Emulator", "GeneratedProject", "check_project", "generate_host_program", "generate_project"]


Emulator = Literal["renode"]
"""Emulators that read files of a project."""

_KINDS_OF_LIBRARY = {
    "aot": "C99 without heap or dependencies",
    "tflm": "C++ without heap, for TensorFlow Lite Micro",
}


@dataclass(frozen=True)
class GeneratedProject:
    """A firmware project: its files (path relative to its folder → text), and what a build needs to know.

    Attributes:
        sources: C and C++ files for a compiler that is called directly; empty where only the project's own build system
            knows how to build it.
        weight_symbols: The model's constant arrays, by which flash is split into weights and code.
    """

    files: Mapping[str, str]
    sources: tuple[str, ...]
    include_dirs: tuple[str, ...]
    linker_script: str | None
    manifest: Mapping[str, Any]
    weight_symbols: frozenset[str]
    arena_bytes: int
    runtime: Runtime


def generate_project(
    graph: Graph,
    source: ModelSource,
    board: Board,
    optimize: Optimize,
    kind: ProjectKind = "baremetal",
    app: Application = "benchmark",
    emulator: Emulator | None = None,
    *,
    streams: bool = True,
) -> GeneratedProject:
    """The benchmark firmware of a model for a board. The same arguments give the same bytes.

    Args:
        app: The application around the model: `benchmark` answers `tinyml bench`, `mlperf` MLPerf Tiny's runner.
        emulator: `renode` adds the folder `renode/`, with a platform description, a script and a test.
        streams: Whether layers might run row by row, for the commands in its README.

    Raises:
        BoardError: there is no project of that kind for this board, or the emulator does not know it.
        ModelError: the application does not take such a model.
    """
    check_project(board, kind)
    contents = Contents(graph.name, source, board, app, _context(graph, source, board, optimize, app, streams=streams))
    layout = LAYOUTS[kind](contents)
    if emulator == "renode":
        layout = replace(layout, files={**layout.files, **renode_files(graph.name, board, kind, contents.context)})
    return _project(contents, layout, kind)


def check_project(board: Board, kind: ProjectKind) -> None:
    """Raise BoardError unless the board has a project of that kind."""
    if kind not in board.projects:
        raise BoardError(
            f"there is no {kind} project for this board",
            where=board.name,
            hint=_other_kinds(board.projects),
        )


def _other_kinds(kinds: Sequence[ProjectKind]) -> str:
    names = ", ".join(kinds[:-1]) + " or " + kinds[-1] if len(kinds) > 1 else kinds[0]
    hint = f"choose --project {names}"
    if "platformio" in kinds:
        hint += "; `tinyml build` makes PlatformIO's with --toolchain platformio"
    return f"{hint}; `tinyml bench --elf` measures what something else has built"


def generate_host_program(graph: Graph, source: ModelSource, app: Application = "benchmark") -> GeneratedProject:
    """The model and an application as a program of this machine: the protocol on stdin and stdout."""
    contents = Contents(graph.name, source, None, app, _context(graph, source, None, "speed", app))
    return _project(contents, host_program(contents), "host")


def _project(contents: Contents, layout: Layout, kind: str) -> GeneratedProject:
    context = contents.context
    manifest = {
        "tinyml_sdk": __version__,
        "model": {"name": contents.name, "file": context["source"], "sha256": context["sha256"]},
        "project": kind,
        "board": contents.board.name if contents.board else "host",
        "runtime": context["runtime"],
        "app": contents.app,
        "optimize": context["optimize"],
        "sources": list(layout.sources),
        "include_dirs": list(layout.include_dirs),
        "linker_script": layout.linker_script,
    }
    return GeneratedProject(
        files=layout.files,
        sources=layout.sources,
        include_dirs=layout.include_dirs,
        linker_script=layout.linker_script,
        manifest=manifest,
        weight_symbols=contents.source.weight_symbols,
        arena_bytes=contents.source.arena_bytes,
        runtime=contents.source.runtime,
    )


def _context(
    graph: Graph,
    source: ModelSource,
    board: Board | None,
    optimize: Optimize,
    app: Application,
    *,
    streams: bool = True,
) -> dict[str, Any]:
    digest = [f"0x{byte:02x}" for byte in bytes.fromhex(graph.sha256)]
    return {
        "version": __version__,
        "name": graph.name,
        "upper": graph.name.upper(),
        "source": graph.source,
        "source_argument": shlex.quote(graph.source),
        "sha256": graph.sha256,
        "sha256_rows": [", ".join(digest[start : start + 15]) for start in range(0, len(digest), 15)],
        "board": board,
        "optimize": optimize,
        "app": app,
        "mlperf": mlperf_task(graph) if app == "mlperf" else None,
        "runtime": source.runtime,
        "options": _options(source.runtime, optimize, streams=streams),
        "tflm_root": " --tflm-root TREE"
        if source.runtime == "tflm" and board and "baremetal" in board.projects
        else "",
        "dependence": "TensorFlow Lite Micro alone" if source.runtime == "tflm" else "nothing",
        "kind_of_library": _KINDS_OF_LIBRARY[source.runtime],
        "arena_bytes": source.arena_bytes,
        "arena_alignment": source.arena_alignment,
        "weight_bytes": source.weight_bytes,
        "frame_body_bytes": frame_body_bytes(
            graph, board.name if board else "host", len(graph.ops), source.arena_bytes
        ),
        "input_bytes": _sizes(graph.input_tensors),
        "output_bytes": _sizes(graph.output_tensors),
    }


def _options(runtime: Runtime, optimize: Optimize, *, streams: bool) -> str:
    """What `tinyml` is told to make the same firmware again."""
    return (
        ("" if optimize == "speed" else f" --optimize {optimize}")
        + ("" if streams else " --no-streams")
        + ("" if runtime == "aot" else f" --runtime {runtime}")
    )


def _sizes(tensors: tuple[Tensor, ...]) -> str:
    return "{" + ", ".join(f"{tensor.bytes}u" for tensor in tensors) + "}"
