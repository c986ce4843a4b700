"""A CMake project: the model as a library target, the benchmark application as an executable on top of it."""

from __future__ import annotations

from ...boards.compiler_flags import gnu_cpu_flags, is_arm, tflm_architecture, tflm_make_flags, zig_cpu_flags
from ...boards.model import Board
from ..model_source import Runtime
from ..templates import render
from .baremetal import plain_folders
from .base import Contents, Layout

__all__ = ["cmake"]

_TEMPLATES = ("README.md", "CMakeLists.txt", "CMakePresets.json", "model/CMakeLists.txt")


def cmake(contents: Contents) -> Layout:
    """The folders of a bare-metal project with CMake's files: presets and toolchain files for gnu_arm and zig.

    Runtime `tflm` has the one for gnu_arm alone, as TFLM's library is built for newlib.
    """
    assert contents.board is not None
    plain = plain_folders(contents, {})
    presets = _presets(contents.source.runtime, contents.board)
    context = {
        **contents.context,
        "presets": presets,
        "model_sources": [name for name in contents.source.files if name.endswith((".c", ".cpp"))],
        "firmware_sources": [name for name in plain.sources if not name.startswith("model/")],
        "include_dirs": [folder for folder in plain.include_dirs if folder != "model"],
        "linker_script": plain.linker_script,
        "gnu_flags": " ".join(gnu_cpu_flags(contents.board)) if "gnu_arm" in presets else "",
        "zig_flags": " ".join(zig_cpu_flags(contents.board)),
        "tflm_architecture": tflm_architecture(contents.board),
        "tflm_make_flags": tflm_make_flags(contents.board),
    }
    templates = (*_TEMPLATES, *(f"cmake/{preset}.cmake" for preset in presets))
    files = {name: render(f"projects/cmake/{name}.j2", context) for name in templates}
    return Layout({**plain.files, **files}, plain.sources, plain.include_dirs, plain.linker_script)


def _presets(runtime: Runtime, board: Board) -> list[str]:
    """The toolchains that can build it."""
    if runtime == "tflm":
        return ["gnu_arm"]
    return ["gnu_arm", "zig"] if is_arm(board) else ["zig"]
