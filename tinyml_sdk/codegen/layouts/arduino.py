"""An Arduino library: the model in `src/`, and two sketches as its examples, one of which is the benchmark.

For a board that only exists in emulators, `extras/hardware` is the Arduino platform that builds for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ...boards import Board
from ...boards.compiler_flags import gnu_cpu_flags, is_arm, zig_cpu_flags
from ...errors import BoardError
from ...resources import templates_dir
from ..port_files import port_files
from ..templates import render
from .base import Contents, Layout, config_file, port_texts, within
from .framework import framework_sources

__all__ = ["arduino"]

_TEMPLATES = "projects/arduino"
_SHARED_SCRIPTS = ("zig.py", "elf_size.py")
"""Those of PlatformIO's platform that Arduino's has as well."""

_APP_HEADERS = {"port_functions.h": "port.h", "protocol.h": "protocol.h", "small_code.h": "small_code.h"}
"""What a port includes: its name beside the port → its name in `app/`."""


def arduino(contents: Contents) -> Layout:
    """For the Arduino IDE and arduino-cli (library specification 1.5).

    Raises:
        BoardError: runtime `tflm` for an emulated board, whose Arduino core has no C++ library.
    """
    board = contents.board
    assert board is not None
    emulated = board.platformio is None
    if emulated and contents.source.runtime == "tflm":
        raise BoardError(
            "runtime tflm has no Arduino project for a board that exists in emulators only",
            where=board.name,
            hint="choose --project baremetal or cmake, with --tflm-root",
        )
    context = {**contents.context, "fqbn": f"tinyml:{board.name}:emulated" if emulated else None}

    def rendered(template: str) -> str:
        return render(f"{_TEMPLATES}/{template}.j2", context)

    # The Arduino builder compiles a sketch's folder `src` with all that is below it.
    benchmark = {**framework_sources("arduino", contents.app), "app_config.h": config_file(contents)}
    files = {
        "library.properties": rendered("library.properties"),
        "README.md": rendered("README.md"),
        **within("src", contents.source.files),
        "examples/RunOnce/RunOnce.ino": rendered("run_once.ino"),
        "examples/Benchmark/Benchmark.ino": rendered("benchmark.ino"),
        **within("examples/Benchmark/src", benchmark),
    }
    if emulated:
        files |= within(f"extras/hardware/tinyml/{board.name}", _platform(contents, board))
    return Layout(files)


def _platform(contents: Contents, board: Board) -> dict[str, str]:
    """An Arduino platform (platform specification 1.5) of one board. Its core is the board's port below Arduino's API.

    It is named by the board, so that those of several projects can lie in one `hardware` folder.
    """
    folder = templates_dir() / _TEMPLATES / "platform"
    port = port_files(board)
    context = {
        **contents.context,
        "constructors": True,
        "gnu_flags": " ".join(gnu_cpu_flags(board)) if is_arm(board) else "",
        "zig_flags": " ".join(zig_cpu_flags(board)),
    }
    scripts = templates_dir() / "projects/platformio/platform/builder"
    files = _texts(scripts, {name: name for name in _SHARED_SCRIPTS})
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name.endswith(".j2"):
            files[name.removesuffix(".j2")] = render(f"{_TEMPLATES}/platform/{name}", context)
        else:
            files[name] = path.read_text(encoding="utf-8")
    below = {
        **_texts(templates_dir() / "app", _APP_HEADERS),
        **{PurePosixPath(name).name: text for name, text in port_texts(port).items()},
        "link.ld": render(f"ports/{port.linker}", context),
    }
    return {**files, **within("cores/tinyml/board", below)}


def _texts(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Files of a folder as they are, under other names: name → text."""
    return {name: (folder / source).read_text(encoding="utf-8") for name, source in files.items()}
