"""Progress shows only what takes long, one line a stage where nobody watches."""

import io
import os
import sys
import time

import pytest

from tinyml_sdk.cli import progress as module
from tinyml_sdk.cli.progress import StageProgress


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)


def test_a_long_stage_gets_one_line_and_a_short_one_none(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress() as progress:
        progress("reading", 0, 1)
        progress("building", 0, 1)
        time.sleep(0.2)
        progress("building", 1, 1)
        progress("running", 0, 8)
    time.sleep(0.1)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "building …\n")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress(quiet=True) as progress:
        progress("building", 0, 1)
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_vanishes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with StageProgress() as progress:
        progress("running", 0, 8)
        time.sleep(0.2)
        progress("running", 5, 8)
        time.sleep(0.2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "running" in err
    assert "5/8" in err
    assert err.count("\x1b[2K") >= 2, "the bar's line is cleared at the end"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals are POSIX's")
def test_a_bar_that_began_while_stderr_was_replaced_leaves_stderr_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is while TensorFlow is imported: `compress` once ended in `lost sys.stderr`, on terminals alone."""
    monkeypatch.setenv("TERM", "xterm")
    reader, writer = os.openpty()
    with os.fdopen(reader, "rb", buffering=0) as screen, os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with StageProgress() as progress:
            progress("loading TensorFlow", 0, 1)
            with io.StringIO() as replacement:
                monkeypatch.setattr(sys, "stderr", replacement)
                time.sleep(0.2)
                monkeypatch.setattr(sys, "stderr", terminal)
            time.sleep(0.2)
            progress.say("original: 98 %")
        assert sys.stderr is terminal
        print("the end", file=sys.stderr, flush=True)
        shown = ""
        while "the end" not in shown:  # a terminal gives a piece at a time
            shown += screen.read(1 << 16).decode()
    assert "loading TensorFlow" in shown
    assert shown.index("original: 98 %\r\n") < shown.index("the end")
