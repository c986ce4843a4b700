"""Where the cache is, and what is said when it cannot be."""

from pathlib import Path

import pytest

from tinyml_sdk.errors import InputError
from tinyml_sdk.toolchains.cache import cache_dir


def test_it_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable, place in (("", "home/.cache"), ("relative", "home/.cache"), (str(tmp_path / "own"), "own")):
        monkeypatch.setenv("XDG_CACHE_HOME", variable)
        folder = cache_dir("zig")
        assert folder == tmp_path / place / "tinyml-sdk" / "zig"
        assert folder.is_dir()


def test_a_place_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot make the cache folder") as caught:
        cache_dir("zig")
    assert "XDG_CACHE_HOME" in caught.value.hint
