"""What a command is doing, on stderr, when it takes long enough to wonder."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from .interrupt import raise_if_interrupted
from .output import note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["StageProgress"]

PATIENCE_S = 1.0
"""A stage that is over sooner is never shown."""


class StageProgress:
    """A progress callback, and the context in which its display lives.

    On a terminal a bar appears once a stage has lasted a second, and vanishes at the end. Elsewhere such a stage gets
    one line. With `quiet` nothing is shown.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._stream: TextIO | None = None
        self._lock = threading.Lock()
        self._stage = ""
        self._state = (0, 1, "")
        self._timer: threading.Timer | None = None
        self._display: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` steps of `stage` are over; `detail` says how it goes.

        Raises KeyboardInterrupt after a Ctrl-C that was lost.
        """
        raise_if_interrupted()
        if self._quiet:
            return
        with self._lock:
            self._state = (done, total, detail)
            if stage != self._stage:
                self._begin(stage)
            elif self._display is not None and self._task is not None:
                self._display.update(self._task, completed=done, total=total, detail=detail)

    def say(self, line: str) -> None:
        """Write a line that stays: above the bar, where there is one."""
        with self._lock:
            if self._display is None:
                note(line)
            else:
                self._display.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> StageProgress:
        if self._terminal and not self._quiet:
            self._stream = _own_stderr()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._end_stage()
            if self._display is not None:
                self._display.stop()
                self._display = None
            if self._stream is not None and self._stream is not sys.stderr:
                self._stream.close()
            self._stream = None

    def _begin(self, stage: str) -> None:
        self._end_stage()
        self._stage = stage
        self._timer = threading.Timer(PATIENCE_S, self._appear, [stage])
        self._timer.daemon = True
        self._timer.start()

    def _end_stage(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._display is not None and self._task is not None:
            self._display.remove_task(self._task)
            self._task = None

    def _appear(self, stage: str) -> None:
        with self._lock:
            if self._timer is None or stage != self._stage:  # over in the meantime
                return
            if not self._terminal:
                note(f"{stage} …")
                return
            if self._display is None:
                self._display = _new_display(self._stream)
                self._display.start()
            done, total, detail = self._state
            self._task = self._display.add_task(stage, completed=done, total=total, detail=detail)


def _own_stderr() -> TextIO:
    """The terminal behind stderr, whatever is done to `sys.stderr` and its descriptor later.

    To import TensorFlow quietly both are replaced for a while. A display that began then would restore the replacement
    when it ends.
    """
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace")
    except OSError:  # not a file: a test's
        return sys.stderr


def _new_display(stream: TextIO | None) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[detail]}", markup=False),
        console=Console(file=stream, stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
