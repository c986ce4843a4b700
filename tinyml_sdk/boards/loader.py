"""Finds board files and reads them. Every fault names the file, the line and the key."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BoardError
from ..resources import boards_dir
from ..yaml_files.checked import FileKind, read_checked

if TYPE_CHECKING:
    from .model import Board

__all__ = ["board_file", "board_folders", "list_boards", "load_board"]

_KIND = FileKind(
    "board file", BoardError, "compare with a board that ships with tinyml: `tinyml boards show mps2-an386 --yaml`"
)


def board_folders() -> tuple[Path, ...]:
    """Where boards are looked up by name, first match wins.

    The folders in $TINYML_BOARDS (separated as in $PATH), then $XDG_CONFIG_HOME/tinyml/boards (usually
    ~/.config/tinyml/boards), then the boards that ship with the package. So a user's file may replace one of ours.
    """
    listed = [Path(entry) for entry in os.environ.get("TINYML_BOARDS", "").split(os.pathsep) if entry]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return (*listed, config / "tinyml" / "boards", boards_dir())


def load_board(name_or_path: str | Path) -> Board:
    """Read one board.

    Args:
        name_or_path: `mps2-an386`, looked up in `board_folders()`; or the path of a file: a Path, or text that ends
            in .yaml or .yml or has a slash in it.

    Raises:
        BoardError: there is no such board, or its file does not describe one.
    """
    file = board_file(name_or_path)
    return _read(file) if _is_path(name_or_path) else _read_named(file)


def board_file(name_or_path: str | Path) -> Path:
    """The file that describes a board, named as for `load_board`; whether there is one at a path is not checked.

    Raises:
        BoardError: there is no board of that name.
    """
    if _is_path(name_or_path):
        return Path(name_or_path)
    name, files = str(name_or_path), _files()
    if name not in files:
        close = difflib.get_close_matches(name, files, n=1, cutoff=0.5)
        suggestion = f"did you mean {close[0]}? " if close else ""
        raise BoardError(
            f"there is no board {name!r}",
            hint=f"{suggestion}known boards: {', '.join(files)}; or give the path of a board file of your own, .yaml",
        )
    return files[name]


def _is_path(name_or_path: str | Path) -> bool:
    text = str(name_or_path)
    return isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml"))


def list_boards() -> tuple[Board, ...]:
    """All boards that can be loaded by name, in the order of their names.

    Raises:
        BoardError: one of the files does not describe a board.
    """
    return tuple(_read_named(file) for file in _files().values())


def _files() -> dict[str, Path]:
    """Board name to file, sorted by name."""
    found: dict[str, Path] = {}
    for folder in board_folders():
        for file in folder.glob("*.yaml"):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def _read_named(file: Path) -> Board:
    board = _read(file)
    if board.name != file.stem:
        raise BoardError(
            f"the board in it is called {board.name}", where=str(file), hint=f"rename the file to {board.name}.yaml"
        )
    return board


def _read(file: Path) -> Board:
    from .model import Board

    return read_checked(Board, file, _KIND)
