"""Progress shows only what takes long, one line a stage where nobody watches."""

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
