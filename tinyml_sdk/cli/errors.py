"""Every way a command can end badly, as a few lines on stderr and an exit code. Never a traceback for bad input."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from ..errors import BuildError, DeviceTimeoutError, FlashError, TinymlError
from .interrupt import interruptible
from .output import note, silence

__all__ = ["Command", "describe", "run_guarded"]

INTERRUPTED = 130
USAGE = 2
FAILED = 3

_MOST_LINES = 20  # of a compiler's output
_MOST_RECEIVED = 240  # bytes of what a device said

# typer carries a copy of click, or imports it, depending on its version: this is the parent of both their usage errors.
_UsageError: type[Any] = typer.BadParameter.__bases__[0]


class Command(TyperCommand):
    """A command that says so when its arguments cannot be told apart: the parser's own errors name none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: D102 - as in its parent
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            error.ctx = error.ctx or ctx
            raise


def run_guarded(command: Callable[[], object], debug: Callable[[], bool]) -> int:
    """Run a command; say what went wrong, if anything, and return the exit code.

    Args:
        command: Returns an exit code, or anything else for success.
        debug: Whether to show tracebacks. Asked when it is needed, as the command's own options decide it.
    """
    try:
        with interruptible():
            result = command()
        code = result if isinstance(result, int) else 0
    except TinymlError as error:
        _show_traceback(debug())
        note(_coloured(describe(error)))
        return error.exit_code
    except _UsageError as error:
        note(_coloured(_describe_usage(error)))
        return USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    except SystemExit as ending:  # typer's own answer to a closed pipe
        return ending.code if isinstance(ending.code, int) else FAILED
    except Exception as error:  # a bug, or the machine: whatever it is, say so in a line
        _show_traceback(debug())
        note(_coloured(_describe_unexpected(error, debug())))
        return FAILED
    if code == INTERRUPTED:
        note("interrupted")
    return code


def describe(error: TinymlError) -> str:
    """The error in one line, what the tool or device said, and the hint."""
    lines = [f"error: {_one_line(str(error))}"]
    if isinstance(error, (BuildError, FlashError)):
        if error.command:
            lines.append(f"  $ {_one_line(error.command)}")
        lines += [f"  {_printable(line)}" for line in error.output.splitlines()[-_MOST_LINES:]]
    if isinstance(error, DeviceTimeoutError):
        lines.append(f"  received: {_describe_received(error.received)}")
    lines.append(f"hint: {_one_line(error.hint)}")
    return "\n".join(lines)


def _describe_received(data: bytes) -> str:
    """Text as text, anything else in hex; the end is what tells most, so a long answer loses its beginning."""
    if not data:
        return "nothing"
    shown = data[-_MOST_RECEIVED:]
    dots = "… " if len(data) > len(shown) else ""
    text = shown.decode("ascii", "replace")
    readable = all(character.isprintable() or character in "\r\n\t" for character in text) and text.isascii()
    return f"{len(data):,} bytes: {dots}{text!r}" if readable else f"{len(data):,} bytes: {dots}{shown.hex(' ')}"


def _describe_usage(error: Any) -> str:
    message = error.format_message().rstrip(".").removeprefix("Invalid value: ")
    path = error.ctx.command_path if error.ctx is not None else "tinyml"
    return f"error: {path}: {message[:1].lower()}{_one_line(message[1:])}\nhint: `{path} --help` lists what it takes"


def _describe_unexpected(error: Exception, debug: bool) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        what = _one_line(where + error.strerror)
        return f"error: {what}\nhint: check the path, its permissions and the room on the disk"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    more = "report it with the lines above" if debug else "run again with `tinyml --debug …` and report what it shows"
    what = _one_line(f"{type(error).__name__}: {error}")
    return f"error: internal error: {what}{place}\nhint: this is a bug in tinyml: {more}, with the model if you can"


def _show_traceback(wanted: bool) -> None:
    if wanted:
        note(traceback.format_exc().rstrip())


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    """Names come from files: none of them may steer the terminal."""
    return "".join(character if character.isprintable() or character == "\t" else "?" for character in text)


def _coloured(text: str) -> str:
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return text
    text = text.replace("error:", "\x1b[1;31merror:\x1b[0m", 1)
    return "\x1b[36mhint:\x1b[0m".join(text.rsplit("hint:", 1))
