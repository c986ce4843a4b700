"""A firmware that finds how much memory TensorFlow Lite Micro's interpreter needs for a model, on the core that it is
for."""

from __future__ import annotations

from dataclasses import replace

from ..boards import Board
from ..graph import Graph
from ..resources import templates_dir
from .model_source import ModelSource, Optimize
from .project import GeneratedProject, generate_project

__all__ = ["generate_sizing_project"]

_APPLICATION = "app/size_arena.c"


def generate_sizing_project(graph: Graph, source: ModelSource, board: Board, optimize: Optimize) -> GeneratedProject:
    """The bare-metal project of a model with `size_arena.c` for its application. `SIZING_ARENA_BYTES` must be defined.

    Args:
        graph: The model as it is in the file.
        source: The model library of runtime `tflm`, with an arena size that it accepts anything above.
        board: One with plenty of memory.
        optimize: As the firmware to be sized.
    """
    project = generate_project(graph, source, board, optimize)
    kept = {path: text for path, text in project.files.items() if not (path.startswith("app/") and path.endswith(".c"))}
    text = (templates_dir() / "tflm" / "size_arena.c").read_text(encoding="utf-8")
    files = {**kept, _APPLICATION: text}
    sources = tuple(sorted(name for name in files if name.endswith((".c", ".cpp"))))
    return replace(project, files=files, sources=sources)
