"""Ctrl-C while unicorn runs.

Python code then runs only in callbacks from C. An exception that a signal handler raises in one of them gets lost in
unicorn's binding, or ctypes prints it and makes up a result. So the handlers wait until the engine has stopped.
"""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["postponed_signals"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGALRM", "SIGINT") if hasattr(signal, name))
"""Those whose handlers raise: Ctrl-C always, the others where a program or a test runner wants to be ended by them.

SIGALRM is unknown on Windows.
"""

# CPython's own, under the module `signal`: what that does with enumerations costs a third of a run that only polls.
_signal: Any = importlib.import_module("_signal")


@contextmanager
def postponed_signals(stop: Callable[[], None]) -> Iterator[list[tuple[int, FrameType | None]]]:
    """Within the block a signal that Python handles only calls `stop`. Its handler is called at the block's end.

    In other threads than the main one, which alone handles signals, nothing changes.

    Args:
        stop: Ends what the block waits for. It must not raise.

    Yields:
        The signals that wait, in the order of their arrival.
    """
    pending: list[tuple[int, FrameType | None]] = []
    if threading.current_thread() is not threading.main_thread():
        yield pending
        return
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    running = True

    def postpone(number: int, frame: FrameType | None) -> None:
        if running:
            pending.append((number, frame))
            stop()
        else:  # still installed, as another handler raised while this one's was put back
            handlers[number](number, frame)

    try:
        for number in _SIGNALS:
            handler = _signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                _signal.signal(number, postpone)
        yield pending
    finally:
        for number, handler in handlers.items():
            _signal.signal(number, handler)
        running = False
        for number, frame in pending:
            handlers[number](number, frame)
