"""Data out of a wheel: by the real pip, from a folder of wheels in place of the package index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MEMBER = "things/data/numbers.txt"


@pytest.fixture
def wheel_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLES)
    import wheel_data

    return wheel_data


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel `things` 1.0, where pip finds it."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "things-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, "1 2 3")
        archive.writestr("things-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: things\nVersion: 1.0\n")
        archive.writestr("things-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("things-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wheel_in_the_cache_is_read_without_pip(
    wheel_data: Any, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_data.sys, "executable", "no-such-python")
    wheel = wheel_data.Wheel("things", "1.0", sha256(index))
    assert wheel_data.read_member(wheel, MEMBER, index.parent) == b"1 2 3"


@pytest.mark.slow
def test_a_wheel_is_downloaded_once_and_again_when_damaged(wheel_data: Any, index: Path, tmp_path: Path) -> None:
    wheel, cache = wheel_data.Wheel("things", "1.0", sha256(index)), tmp_path / "cache"
    assert wheel_data.read_member(wheel, MEMBER, cache) == b"1 2 3"
    (cached,) = cache.iterdir()
    cached.write_bytes(b"half of it")
    assert wheel_data.read_member(wheel, MEMBER, cache) == b"1 2 3"


@pytest.mark.slow
def test_another_wheel_than_the_pinned_one_is_refused(wheel_data: Any, index: Path, tmp_path: Path) -> None:
    wheel = wheel_data.Wheel("things", "1.0", "0" * 64)
    with pytest.raises(SystemExit, match=f"{sha256(index)}: do not use it"):
        wheel_data.read_member(wheel, MEMBER, tmp_path / "cache")


@pytest.mark.slow
def test_no_such_version(wheel_data: Any, index: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"pip cannot download things==9\.9"):
        wheel_data.read_member(wheel_data.Wheel("things", "9.9", "0" * 64), MEMBER, tmp_path / "cache")
