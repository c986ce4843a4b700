"""A command in a process of its own, so that whatever ends that process becomes one error.

TensorFlow aborts in C++ where it gets no memory, and a kernel without memory kills who took most of it: no Python code
can catch either. So the command line does such a command in a child, with the same arguments on the same terminal.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ToolError
from .interrupt import interrupted

__all__ = ["do_in_child", "serve"]

GRACE_S = 20.0
"""What a child has to tidy up once its parent is gone."""

_ROOT = Path(__file__).resolve().parents[2]
_WITHOUT_BAR = "\r\x1b[2K\x1b[?25h"  # the line of a bar that was left behind, cleared, and the cursor shown again
# The folder that the parent was started in must not lend its modules to TensorFlow.
_START = (
    "import sys; sys.path[0] = {root!r}; from tinyml_sdk.cli.supervision import serve; "
    "sys.exit(serve({words}, sys.argv[1:]))"
)


def do_in_child(arguments: Sequence[str], *, where: str, hint: str) -> int:
    """Run `tinyml` with the same arguments in a child, and return its exit code.

    A Ctrl-C at the terminal reaches the child anyway; one that is sent to this process is passed on, and the child
    also ends when this process does.

    Args:
        arguments: Of the command line, without the program.
        where: What the error is about.
        hint: What to do when the child was killed.

    Raises:
        ToolError: the child was killed, or crashed.
    """
    with tempfile.TemporaryFile() as words:
        child = subprocess.Popen(
            [sys.executable, "-c", _START.format(root=str(_ROOT), words=words.fileno()), *arguments],
            stdin=subprocess.PIPE,
            pass_fds=(words.fileno(),),
        )
        assert child.stdin is not None
        with child.stdin, _passing_on(child.stdin.close):
            code = child.wait()
        if code >= 0:
            return code
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(_WITHOUT_BAR)
            sys.stderr.flush()
        words.seek(0)
        said = _last_words(words.read().decode(errors="replace"))
    if code == -signal.SIGKILL:
        raise ToolError("was killed, most likely for lack of memory", where=where, hint=hint)
    raise ToolError(f"TensorFlow crashed ({signal.Signals(-code).name}){said}", where=where, hint=hint)


@contextmanager
def _passing_on(interrupt: Callable[[], object]) -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM do this instead of raising KeyboardInterrupt, unless they are ignored."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, lambda *_: interrupt())
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _last_words(text: str) -> str:
    """What was wrong, of what C++ leaves behind: above the stack trace, without date, process and source file."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("@", "***"))]
    return f": {re.sub(r'^F[0-9 :.]+[^]]*[]] ', '', lines[-1])[:200]}" if lines else ""


def serve(words: int, arguments: list[str]) -> int:
    """The child's side: `main`, with what C++ writes to stderr kept from the terminal.

    Args:
        words: Descriptor of a file for it.
        arguments: Of the command line.
    """
    from . import main

    if sys.stderr is not None:  # or else it is closed
        sys.stderr = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1)
        os.dup2(words, 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return main(arguments)


def _end_with_parent() -> None:
    """Interrupt this process as soon as the parent closes its end of stdin, or is gone."""
    while os.read(0, 1024):
        pass
    if not interrupted():  # by the terminal, which tells parent and child: once is enough
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGINT)
