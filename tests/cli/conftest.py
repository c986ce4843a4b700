"""Settings for the tests of the command line."""

import pytest

from tinyml_sdk.cli import progress


@pytest.fixture(autouse=True)
def no_progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that takes a second gets a line on stderr, and on a busy machine any may take one."""
    monkeypatch.setattr(progress, "PATIENCE_S", 3600.0)
