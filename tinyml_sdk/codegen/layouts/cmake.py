"""A CMake project: the model as a library target, the benchmark application as an executable on top of it."""

from __future__ import annotations

from ...boards.compiler_flags import gnu_cpu_flags, is_arm, zig_cpu_flags
from ..templates import render
from .baremetal import plain_folders
from .base import Contents, Layout

__all__ = ["cmake"]

_GNU = "cmake/gnu_arm.cmake"
_TEMPLATES = (
    "README.md",
    "CMakeLists.txt",
    "CMakePresets.json",
    _GNU,
    "cmake/zig.cmake",
    "model/CMakeLists.txt",
)


def cmake(contents: Contents) -> Layout:
    """The folders of a bare-metal project with CMake's files: presets and toolchain files for gnu_arm and zig."""
    assert contents.board is not None
    plain = plain_folders(contents, {})
    has_gnu = is_arm(contents.board)
    context = {
        **contents.context,
        "presets": ["zig", "gnu_arm"] if has_gnu else ["zig"],
        "model_sources": [name for name in contents.source.files if name.endswith(".c")],
        "firmware_sources": [name for name in plain.sources if not name.startswith("model/")],
        "include_dirs": [folder for folder in plain.include_dirs if folder != "model"],
        "linker_script": plain.linker_script,
        "gnu_flags": " ".join(gnu_cpu_flags(contents.board)) if has_gnu else "",
        "zig_flags": " ".join(zig_cpu_flags(contents.board)),
    }
    files = {name: render(f"projects/cmake/{name}.j2", context) for name in _TEMPLATES if has_gnu or name != _GNU}
    return Layout({**plain.files, **files}, plain.sources, plain.include_dirs, plain.linker_script)
