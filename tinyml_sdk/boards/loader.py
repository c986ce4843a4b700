"""Finds board files and reads them. Every fault names the file, the line and the key."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BoardError
from ..resources import boards_dir

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from .model import Board
    from .yaml_lines import KeyPath

__all__ = ["board_folders", "list_boards", "load_board"]

MAX_BYTES = 64 * 1024
"""Of a board file. The real ones have about 1 KB."""

_EXAMPLE_HINT = "compare with a board that ships with tinyml: `tinyml boards show mps2-an386`"


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
    from pydantic import ValidationError

    from .model import Board
    from .yaml_lines import YamlError, parse_yaml

    text = _text(file)
    try:
        value, lines = parse_yaml(text)
    except YamlError as error:
        raise BoardError(str(error), where=f"{file}:{error.line}", hint=_EXAMPLE_HINT) from error
    if not isinstance(value, dict):
        raise BoardError("is not a list of `key: value` lines", where=str(file), hint=_EXAMPLE_HINT)
    try:
        return Board.model_validate(value)
    except ValidationError as error:
        raise _board_error(file, error.errors(include_url=False), lines) from error


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BoardError(
            f"cannot be read: {error.strerror}",
            where=str(file),
            hint="give the name of a board or the path of its file",
        ) from error
    if len(data) > MAX_BYTES:
        raise BoardError(f"is larger than {MAX_BYTES:,} bytes", where=str(file), hint="this is not a board file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BoardError("is not UTF-8 text", where=str(file), hint="this is not a board file") from error


def _board_error(file: Path, faults: list[ErrorDetails], lines: dict[KeyPath, int]) -> BoardError:
    """One error for the first fault in the file; the message says how many more there are."""
    located = sorted(((_line(_key(fault), lines), fault) for fault in faults), key=lambda item: item[0])
    line, first = located[0]
    message, hint = _explain(first)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    key = ".".join(map(str, _key(first)))
    return BoardError(message + more, where=f"{file}:{line}: {key}", hint=hint)


def _key(fault: ErrorDetails) -> KeyPath:
    """The key at fault. What is wrong between keys (model.py, `_conflict`) names one of them itself."""
    named = fault.get("ctx", {}).get("key")
    return (*fault["loc"], named) if named else fault["loc"]


def _line(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """The line of a key, or of what encloses it where it is missing."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _explain(fault: ErrorDetails) -> tuple[str, str]:
    """Message and hint for one fault that pydantic found."""
    if fault["type"] == "missing":
        return "is missing", f"add it; {_EXAMPLE_HINT}"
    if fault["type"] == "extra_forbidden":
        return "unknown key", _known_keys_hint(fault["loc"])
    message = fault["msg"].replace("Input should", "should")
    given = fault["input"]
    if fault["type"] != "conflict" and isinstance(given, (str, int)):
        message += f", not {given!r}"
    return message, _EXAMPLE_HINT


def _known_keys_hint(path: tuple[int | str, ...]) -> str:
    """What keys there are beside an unknown one, and which is close to it."""
    from .model import Board

    schema: dict[str, Any] = Board.model_json_schema()
    node = schema
    for part in path[:-1]:
        if isinstance(part, int):  # an item of a list, whose schema `node` is already
            continue
        entry = node.get("properties", {}).get(part, {})
        entry = entry.get("items", entry)
        references = [option["$ref"] for option in (entry, *entry.get("anyOf", ())) if "$ref" in option]
        node = schema["$defs"][references[0].rpartition("/")[2]] if references else {}
    keys = list(node.get("properties", {}))
    close = difflib.get_close_matches(str(path[-1]), keys, n=1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(keys)}"
