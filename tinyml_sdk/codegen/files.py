"""Writing generated folders: all or nothing, and never over somebody's own work."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError

__all__ = ["MANIFEST", "read_manifest", "write_folder"]

MANIFEST = "tinyml-project.json"
"""Lists a generated folder's files with their digests, and how to build it."""

BUILD_FOLDER = "build"
"""Where builds of a generated folder go; not part of it."""

_BUILT = (BUILD_FOLDER, ".pio", ".vscode", "sdkconfig", "sdkconfig.old", "managed_components", "dependencies.lock")
"""What build systems leave in a project's folder. Only `BUILD_FOLDER` is kept when the project is generated again."""


def write_folder(folder: Path, files: Mapping[str, str], manifest: Mapping[str, Any]) -> None:
    """Write a generated folder with its manifest. It appears whole, or the old one stays.

    An existing folder is replaced only when it was generated and nothing in it was changed or added since.

    Raises:
        InputError: the folder holds other files or cannot be written.
    """
    digests = {path: _digest(text.encode()) for path, text in sorted(files.items())}
    whole = {**files, MANIFEST: json.dumps({**manifest, "files": digests}, indent=2) + "\n"}
    try:
        _check_replaceable(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staging:
            fresh = Path(staging) / "new"
            for path, text in whole.items():
                target = fresh / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            if folder.exists():
                if (folder / BUILD_FOLDER).is_dir():
                    shutil.move(folder / BUILD_FOLDER, fresh / BUILD_FOLDER)
                folder.rename(Path(staging) / "old")
            fresh.rename(folder)
    except OSError as error:
        raise InputError(
            f"cannot write the project: {error.strerror}",
            where=str(folder),
            hint="choose a folder you may write to, on a disk with room",
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a generated folder. Raises InputError where there is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "this is not a folder that `tinyml generate` wrote",
            where=str(folder),
            hint=f"it has no readable {MANIFEST}; generate the project again",
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise InputError("the manifest is damaged", where=str(folder / MANIFEST), hint="generate the project again")
    return manifest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_replaceable(folder: Path) -> None:
    if folder.is_file():
        raise InputError("is a file, not a folder", where=str(folder), hint="choose another output folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise InputError(
            "the folder holds other files", where=str(folder), hint="choose an empty or a new folder, or clear this one"
        )
    listed = read_manifest(folder)["files"]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == MANIFEST or name.split("/")[0] in _BUILT:
            continue
        if listed.get(name) != _digest(path.read_bytes()):
            raise InputError(
                f"{name} was {'changed' if name in listed else 'added'} after generating",
                where=str(folder),
                hint="generate into another folder, or remove this one if the change is not needed",
            )
