"""Settings for the tests of the command line."""

import signal
from collections.abc import Iterator

import pytest

from tinyml_sdk.cli import progress


@pytest.fixture(autouse=True)
def from_a_terminal() -> Iterator[None]:
    """As a shell starts a command in the foreground: one in the background, a CI's for instance, ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def no_progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that takes a second gets a line on stderr, and on a busy machine any may take one."""
    monkeypatch.setattr(progress, "PATIENCE_S", 3600.0)
