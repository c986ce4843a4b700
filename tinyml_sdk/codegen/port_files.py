"""Which C files make up a board's port. `firmware_templates/ports/README.md` describes the lists this reads."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ..boards import Board
from ..errors import BoardError
from ..resources import templates_dir

__all__ = ["PortFiles", "framework_port_files", "host_port_files", "port_files"]


@dataclass(frozen=True)
class PortFiles:
    """Files of one port. All paths are relative to `firmware_templates/ports`.

    Attributes:
        sources: C files to compile.
        headers: What they include.
        include_dirs: Where those headers are.
        linker: Jinja template of the linker script, given `board`; None for the host and for frameworks.
    """

    sources: tuple[str, ...]
    headers: tuple[str, ...]
    include_dirs: tuple[str, ...]
    linker: str | None


def port_files(board: Board) -> PortFiles:
    """The files for a board: its port's own, its console driver and its counter.

    Raises:
        BoardError: there is no such port, or the port has no such console driver or counter.
    """
    ports = templates_dir() / "ports"
    known = sorted(file.parent.name for file in ports.glob("*/port.yaml") if file.parent.name != "host")
    _check(board, "port", board.port, known)
    lists = _read(board.port)
    _check(board, "console driver", board.console.driver, list(lists["consoles"]))
    _check(board, "counter", board.counter, list(lists["counters"]))
    return _files(lists, *lists["consoles"][board.console.driver], *lists["counters"][board.counter])


def framework_port_files(framework: str) -> PortFiles:
    """The files that run the application on a framework, `arduino` or `esp_idf`, whatever the board."""
    return _files(_read(framework))


def host_port_files() -> PortFiles:
    """The files that make the application a program of this machine."""
    return _files(_read("host"))


def _read(port: str) -> Mapping[str, Any]:
    text = (templates_dir() / "ports" / port / "port.yaml").read_text(encoding="utf-8")
    lists: Mapping[str, Any] = yaml.safe_load(text)
    return lists


def _files(lists: Mapping[str, Any], *drivers: str) -> PortFiles:
    return PortFiles(
        sources=(*lists["sources"], *drivers),
        headers=tuple(lists.get("headers", ())),
        include_dirs=tuple(lists.get("include_dirs", ())),
        linker=lists.get("linker"),
    )


def _check(board: Board, what: str, value: str, known: list[str]) -> None:
    if value not in known:
        close = difflib.get_close_matches(value, known, n=1)
        suggestion = f"did you mean {close[0]}? " if close else ""
        owner = "" if what == "port" else f"the port {board.port} has no "
        message = f"{owner}{what} {value!r}" if owner else f"there is no port {value!r}"
        raise BoardError(message, where=board.name, hint=f"{suggestion}known: {', '.join(known)}")
