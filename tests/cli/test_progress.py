"""Progress shows only what takes long, one line a stage where nobody watches."""

import io
import os
import sys
import time
from collections.abc import Callable

import pytest

from tinyml_sdk.cli import progress as module
from tinyml_sdk.cli.progress import StageProgress


def wait_until(happened: Callable[[], bool]) -> None:
    """As long as a busy machine takes."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how long the next stages must last to be shown."""
    return lambda seconds: monkeypatch.setattr(module, "PATIENCE_S", seconds)


def test_a_long_stage_gets_one_line_and_a_short_one_none(
    capsys: pytest.CaptureFixture[str], patience: Callable[[float], None]
) -> None:
    shown: list[str] = []

    def has_shown() -> bool:
        out, err = capsys.readouterr()
        assert out == ""
        shown.append(err)
        return bool(err)

    with StageProgress() as progress:
        patience(60)
        progress("reading", 0, 1)
        patience(0)
        progress("building", 0, 1)
        wait_until(has_shown)
        patience(3600)
        progress("building", 1, 1)
        progress("running", 0, 8)
        timer = progress._timer
    assert timer is not None
    timer.join(60)
    assert not timer.is_alive(), "it has been told that the stage is over"
    has_shown()
    assert "".join(shown) == "building …\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str], patience: Callable[[float], None]) -> None:
    patience(0)
    with StageProgress(quiet=True) as progress:
        progress("building", 0, 1)
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_vanishes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, patience: Callable[[float], None]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    patience(0)
    shown: list[str] = []

    def has_shown(text: str) -> bool:
        shown.append(capsys.readouterr().err)
        return text in "".join(shown)

    with StageProgress() as progress:
        progress("running", 0, 8)
        wait_until(lambda: has_shown("0/8"))
        progress("running", 5, 8)
        wait_until(lambda: has_shown("5/8"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "running" in "".join(shown)
    assert "\x1b[2K" in err, "the bar's line is cleared at the end"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals are POSIX's")
def test_a_bar_that_began_while_stderr_was_replaced_leaves_stderr_as_it_was(
    monkeypatch: pytest.MonkeyPatch, patience: Callable[[float], None]
) -> None:
    """As it is while TensorFlow is imported: `compress` once ended in `lost sys.stderr`, on terminals alone."""
    monkeypatch.setenv("TERM", "xterm")
    patience(0)
    reader, writer = os.openpty()
    with os.fdopen(reader, "rb", buffering=0) as screen, os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with StageProgress() as progress:
            progress("loading TensorFlow", 0, 1)
            with io.StringIO() as replacement:
                monkeypatch.setattr(sys, "stderr", replacement)
                wait_until(lambda: progress._display is not None)
                monkeypatch.setattr(sys, "stderr", terminal)
            progress.say("original: 98 %")
        assert sys.stderr is terminal
        print("the end", file=sys.stderr, flush=True)
        shown = ""
        while "the end" not in shown:  # a terminal gives a piece at a time
            shown += screen.read(1 << 16).decode()
    assert "loading TensorFlow" in shown
    assert shown.index("original: 98 %\r\n") < shown.index("the end")
