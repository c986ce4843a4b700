"""Whole firmware projects: the model library, the benchmark application and the board's port in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..boards import Board
from ..graph import Graph, Tensor
from ..plan import MemoryPlan
from ..resources import templates_dir
from .model_source import ModelSource, Optimize
from .port_files import PortFiles, host_port_files, port_files
from .templates import render

__all__ = ["GeneratedProject", "generate_host_program", "generate_project"]

LINKER_SCRIPT = "link.ld"


@dataclass(frozen=True)
class GeneratedProject:
    """A firmware project: its files (path relative to its folder → text), and what a build needs to know.

    Attributes:
        weight_symbols: The model's constant arrays, by which flash is split into weights and code.
    """

    files: Mapping[str, str]
    sources: tuple[str, ...]
    include_dirs: tuple[str, ...]
    linker_script: str | None
    manifest: Mapping[str, Any]
    weight_symbols: frozenset[str]


def generate_project(
    graph: Graph, source: ModelSource, plan: MemoryPlan, board: Board, optimize: Optimize
) -> GeneratedProject:
    """The benchmark firmware of a model for a board, bare metal. The same arguments give the same bytes."""
    return _generate(graph, source, plan, board, optimize, port_files(board))


def generate_host_program(graph: Graph, source: ModelSource, plan: MemoryPlan) -> GeneratedProject:
    """The model and the benchmark application as a program of this machine: the protocol on stdin and stdout."""
    return _generate(graph, source, plan, None, "speed", host_port_files())


def _generate(
    graph: Graph, source: ModelSource, plan: MemoryPlan, board: Board | None, optimize: Optimize, port: PortFiles
) -> GeneratedProject:
    context = _context(graph, source, plan, board, optimize)
    files = {
        **{f"model/{name}": text for name, text in source.files.items()},
        **_static_files(port),
        "app/app_config.h": render("projects/baremetal/app_config.h.j2", context),
    }
    if board:
        files["README.md"] = render("projects/baremetal/README.md.j2", context)
    if port.linker:
        files[LINKER_SCRIPT] = render(f"ports/{port.linker}", context)
    sources = tuple(sorted(name for name in files if name.endswith(".c")))
    include_dirs = ("model", "app", *(f"port/{folder}" for folder in port.include_dirs))
    manifest = {
        "tinyml_sdk": __version__,
        "model": {"name": graph.name, "file": graph.source, "sha256": graph.sha256},
        "board": board.name if board else "host",
        "optimize": optimize,
        "sources": list(sources),
        "include_dirs": list(include_dirs),
        "linker_script": LINKER_SCRIPT if port.linker else None,
    }
    return GeneratedProject(
        files=files,
        sources=sources,
        include_dirs=include_dirs,
        linker_script=LINKER_SCRIPT if port.linker else None,
        manifest=manifest,
        weight_symbols=source.weight_symbols,
    )


def _static_files(port: PortFiles) -> dict[str, str]:
    """The application and the port, as they are in firmware_templates."""
    app = templates_dir() / "app"
    ports = templates_dir() / "ports"
    return {
        **{f"app/{path.name}": path.read_text(encoding="utf-8") for path in sorted(app.iterdir())},
        **{f"port/{name}": (ports / name).read_text(encoding="utf-8") for name in (*port.sources, *port.headers)},
    }


def _context(
    graph: Graph, source: ModelSource, plan: MemoryPlan, board: Board | None, optimize: Optimize
) -> dict[str, Any]:
    digest = [f"0x{byte:02x}" for byte in bytes.fromhex(graph.sha256)]
    return {
        "version": __version__,
        "name": graph.name,
        "upper": graph.name.upper(),
        "source": graph.source,
        "sha256": graph.sha256,
        "sha256_rows": [", ".join(digest[start : start + 15]) for start in range(0, len(digest), 15)],
        "board": board,
        "optimize": optimize,
        "arena_bytes": plan.arena_bytes,
        "weight_bytes": source.weight_bytes,
        "input_bytes": _sizes(graph.input_tensors),
        "output_bytes": _sizes(graph.output_tensors),
    }


def _sizes(tensors: tuple[Tensor, ...]) -> str:
    return "{" + ", ".join(f"{tensor.bytes}u" for tensor in tensors) + "}"
