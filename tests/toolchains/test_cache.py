"""Where the cache is, and what is said when it cannot be."""

import select
import subprocess
import sys
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


def test_one_process_at_a_time_compiles_in_a_cache(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from tinyml_sdk.toolchains.cache import one_at_a_time\n"
        f"with one_at_a_time(pathlib.Path({str(tmp_path)!r})): print('in', flush=True); sys.stdin.read()"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        with start() as second:
            assert second.stdout is not None
            assert not select.select([second.stdout], [], [], 0.5)[0]
            first.kill()
            assert second.stdout.readline() == "in\n"
            second.kill()
