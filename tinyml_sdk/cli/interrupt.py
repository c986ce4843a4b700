"""Ctrl-C and SIGTERM, also where Python would lose them.

A handler runs wherever Python happens to be: also in a finalizer or in a callback from C, and what is raised there
Python prints and forgets. So the request is kept, and raised again at the next step of progress. The callbacks of the
builtin emulator need none of this: there handlers wait (`targets/builtin/signals.py`).
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupted", "interruptible", "raise_if_interrupted"]

_requested = threading.Event()
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@contextmanager
def interruptible() -> Iterator[None]:
    """Remember Ctrl-C while the block runs, and let KeyboardInterrupt end it, whatever else Ctrl-C broke.

    SIGTERM does the same, so that whatever ends a command, emulators end with it and its files are tidied away. Where
    somebody handles or ignores a signal already, it stays as it is: a shell's job in the background ignores SIGINT.
    """
    defaults = {number: handler for number, handler in _DEFAULTS.items() if signal.getsignal(number) == handler}
    if threading.current_thread() is not threading.main_thread() or not defaults:
        yield
        return
    previous_hook = sys.unraisablehook

    def forget_quietly(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            previous_hook(unraisable)

    _requested.clear()
    for number in defaults:
        signal.signal(number, _request)
    sys.unraisablehook = forget_quietly
    try:
        yield
        raise_if_interrupted()
    except Exception as error:
        if _requested.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in defaults.items():
            signal.signal(number, handler)
        sys.unraisablehook = previous_hook
        _requested.clear()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if one was asked for since `interruptible` began."""
    if interrupted():
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether Ctrl-C was pressed since `interruptible` began."""
    return _requested.is_set()


def _request(_number: int, _frame: FrameType | None) -> None:
    _requested.set()
    raise KeyboardInterrupt
