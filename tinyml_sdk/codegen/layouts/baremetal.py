"""Plain folders for a compiler that is called directly: `model/`, `app/`, `port/` and a linker script."""

from __future__ import annotations

from ...boards.compiler_flags import is_arm
from ...errors import BoardError
from ..port_files import PortFiles, host_port_files, port_files
from ..templates import render
from .base import Contents, Layout, app_files, config_file, port_texts, within

__all__ = ["baremetal", "host_program", "plain_folders"]

LINKER_SCRIPT = "link.ld"


def baremetal(contents: Contents) -> Layout:
    """Sources and a linker script; `tinyml build` is its build system."""
    return plain_folders(contents, {"README.md": render("projects/baremetal/README.md.j2", contents.context)})


def host_program(contents: Contents) -> Layout:
    """A program of this machine: the protocol on stdin and stdout."""
    return _plain(contents, host_port_files(), {})


def plain_folders(contents: Contents, extra: dict[str, str]) -> Layout:
    """Everything that runs without an operating system or framework, and `extra` files beside it.

    Raises:
        BoardError: runtime `tflm`, for which its own Makefile makes libraries of Cortex-M only.
    """
    assert contents.board is not None
    if contents.source.runtime == "tflm" and not is_arm(contents.board):
        raise BoardError(
            f"runtime tflm has bare-metal and CMake projects for Cortex-M only, this board has a {contents.board.core}",
            where=contents.board.name,
            hint="choose --runtime aot, or --project esp_idf for an ESP32",
        )
    return _plain(contents, port_files(contents.board), extra)


def _plain(contents: Contents, port: PortFiles, extra: dict[str, str]) -> Layout:
    files = {
        **within("model", contents.source.files),
        **within("app", {**app_files(contents.app), "app_config.h": config_file(contents)}),
        **within("port", port_texts(port)),
        **extra,
    }
    if port.linker:
        files[LINKER_SCRIPT] = render(f"ports/{port.linker}", contents.context)
    return Layout(
        files=files,
        sources=tuple(sorted(name for name in files if name.endswith((".c", ".cpp")))),
        include_dirs=("model", "app", *(f"port/{folder}" for folder in port.include_dirs)),
        linker_script=LINKER_SCRIPT if port.linker else None,
    )
