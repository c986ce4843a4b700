"""Where text goes: stdout, stderr and files. A reader that stops listening is no error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["STDOUT", "check_destination", "emit", "note", "replace_closed_streams", "show", "write_text"]

STDOUT = Path("-")
"""The destination that means stdout."""


def replace_closed_streams() -> None:
    """Give a process that was started without stdout or stderr (`>&-`) nothing to write to, in place of None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for good


def emit(text: str) -> None:
    """Write text to stdout as it is."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Write a line to stderr: what happened beside the result."""
    _write(sys.stderr, text + "\n")


def show(report: RenderableType) -> None:
    """Render a report for stdout: in colour on a terminal, plain and 80 columns wide in a pipe."""
    from ..report.console import render

    emit(render(report, sys.stdout))


def check_destination(path: Path | None) -> None:
    """Refuse a file that cannot be written before the work that fills it, not after.

    Raises:
        InputError: the path is a folder, or its folder is read-only or cannot be made.
    """
    if path is None or path == STDOUT:
        return
    try:
        if path.is_dir():
            raise _unwritable(path, "Is a directory")
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as error:  # a name that is too long, a loop of links
        raise _unwritable(path, error.strerror or str(error)) from error
    if existing != path and not existing.is_dir():
        raise _unwritable(path, f"{existing} is not a folder")
    if not os.access(existing, os.W_OK):
        raise _unwritable(path, "Permission denied")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, its folder made where there is none, or write to stdout for `-`.

    Raises:
        InputError: the file cannot be written.
    """
    if path == STDOUT:
        emit(text)
        return
    try:
        if path.exists() and not path.is_file():  # a device or a pipe: renaming over it would destroy it
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()  # keeps a link a link
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, reason: str) -> InputError:
    return InputError(
        f"cannot write the file: {reason}", where=str(path), hint="choose a file you may write to, on a disk with room"
    )


def _write(stream: TextIO, text: str) -> None:
    """Write and flush. What the stream's encoding lacks becomes `?`; a closed pipe swallows the rest."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def silence(stream: Any) -> None:
    """Point a stream at nothing, so that neither later output nor the interpreter's last flush can fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
