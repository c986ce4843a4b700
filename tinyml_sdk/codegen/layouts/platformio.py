"""A PlatformIO project: the model in `lib/`, the application in `src/`, and for emulated boards their platform."""

from __future__ import annotations

from typing import Any

from ...boards.compiler_flags import zig_cpu_flags
from ...errors import BoardError
from ...resources import templates_dir
from ..port_files import port_files
from ..templates import render
from .baremetal import LINKER_SCRIPT
from .base import Contents, Layout, app_files, config_file, port_texts, within
from .framework import framework_sources, idf_target

__all__ = ["platformio"]

_TEMPLATES = "projects/platformio"
_PLATFORM_FILES = ("platform.py", "builder/main.py", "builder/zig.py", "builder/emulate.py", "builder/elf_size.py")


def platformio(contents: Contents) -> Layout:
    """For a real board with the framework its board file names; for an emulated one bare metal, built with zig."""
    ids = contents.board.platformio if contents.board else None
    if ids is None:
        if contents.source.runtime == "tflm":
            raise _no_library(contents)
        return _emulated(contents)
    return _esp_idf(contents) if ids.framework == "espidf" else _arduino(contents)


def _arduino(contents: Contents) -> Layout:
    context = {**contents.context, "emulated": False, "build_flags": []}
    main = render(f"{_TEMPLATES}/main.cpp.j2", context)
    return Layout(
        {
            **within("src", {**framework_sources("arduino", contents.app), "main.cpp": main}),
            **_common(contents, context),
        }
    )


def _esp_idf(contents: Contents) -> Layout:
    """As PlatformIO wants ESP-IDF: the folder `src` is the component `main`, and `lib` is built by PlatformIO."""
    assert contents.board is not None
    sources = framework_sources("esp_idf", contents.app)
    context = {
        **contents.context,
        "emulated": False,
        "build_flags": [],
        "idf_target": idf_target(contents.board),
        "app_sources": sorted(name for name in sources if name.endswith(".c")),
    }
    files = {
        "CMakeLists.txt": render("projects/esp_idf/CMakeLists.txt.j2", context),
        "sdkconfig.defaults": render("projects/esp_idf/sdkconfig.defaults.j2", context),
        **within("src", {**sources, "CMakeLists.txt": render(f"{_TEMPLATES}/src_CMakeLists.txt.j2", context)}),
    }
    if contents.source.runtime == "tflm":
        files["src/idf_component.yml"] = render(f"{_TEMPLATES}/src_idf_component.yml.j2", context)
    return Layout({**files, **_common(contents, context)})


def _emulated(contents: Contents) -> Layout:
    board = contents.board
    assert board is not None
    port = port_files(board)
    context = {
        **contents.context,
        "emulated": True,
        "linker_script": LINKER_SCRIPT,
        "zig_flags": " ".join(zig_cpu_flags(board)),
        "build_flags": [f"-Isrc/port/{folder}" for folder in port.include_dirs],
    }
    platform = templates_dir() / _TEMPLATES / "platform"
    files = {
        **within("src", app_files(contents.app)),
        **within("src/port", port_texts(port)),
        LINKER_SCRIPT: render(f"ports/{port.linker}", context),
        **within("platform", {name: (platform / name).read_text(encoding="utf-8") for name in _PLATFORM_FILES}),
        "platform/platform.json": render(f"{_TEMPLATES}/platform/platform.json.j2", context),
        f"platform/boards/{board.name}.json": render(f"{_TEMPLATES}/platform/boards/board.json.j2", context),
    }
    return Layout({**files, **_common(contents, context)})


def _no_library(contents: Contents) -> BoardError:
    """Emulated boards are built with zig, offline; and TFLM's library comes from PlatformIO's registry."""
    assert contents.board is not None
    return BoardError(
        "runtime tflm has no PlatformIO project for a board that PlatformIO builds with zig",
        where=contents.board.name,
        hint="choose --project baremetal or cmake, with --tflm-root",
    )


def _common(contents: Contents, context: dict[str, Any]) -> dict[str, str]:
    """What every PlatformIO project has."""
    library = f"lib/{contents.name}"
    return {
        "platformio.ini": render(f"{_TEMPLATES}/platformio.ini.j2", context),
        "README.md": render(f"{_TEMPLATES}/README.md.j2", context),
        f"{library}/library.json": render(f"{_TEMPLATES}/library.json.j2", context),
        **within(f"{library}/src", contents.source.files),
        "include/app_config.h": config_file(contents),
    }
