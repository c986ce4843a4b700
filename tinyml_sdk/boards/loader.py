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

__all__ = ["board_folders", "list_boards", "load_board"]

_KIND = FileKind(
    "board file", BoardError, "compare with a board that ships with tinyml: `tinyml boards show mps2-an386`"
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
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        return _read(Path(name_or_path))
    files = _files()
    if text not in files:
        close = difflib.get_close_matches(text, files, n=1, cutoff=0.5)
        suggestion = f"did you mean {close[0]}? " if close else ""
        raise BoardError(f"there is no board {text!r}", hint=f"{suggestion}known boards: {', '.join(files)}")
    return _read_named(files[text])


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
