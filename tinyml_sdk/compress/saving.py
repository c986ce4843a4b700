"""Keras models as files: the same model gives the same bytes, and a file is there whole or not at all."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

from ..errors import InputError
from .weight_layers import cloned

__all__ = ["save_model"]

_LONG_AGO = "1980-01-01@00:00:00"


def save_model(model: Any, path: Path) -> None:
    """Write a .keras file without optimizer state, and without what differs from run to run.

    Raises:
        InputError: the file cannot be written.
    """
    raw = path.with_name(f".{path.stem}.{os.getpid()}.raw.keras")
    whole = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            cloned(model).save(raw)
            _rewrite(raw, whole)
            whole.replace(path)
        finally:
            raw.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the file: {error.strerror or error}", where=str(path), hint="choose a file you may write to"
        ) from error


def _rewrite(raw: Path, path: Path) -> None:
    """The same archive with a fixed date, fixed order, and objects numbered in order of appearance."""
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                content = json.dumps(json.loads(content) | {"date_saved": _LONG_AGO}).encode()
            elif name == "config.json":
                content = _renumber_objects(content)
            # A ZipInfo of its own, as the default carries the time of day.
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _renumber_objects(config: bytes) -> bytes:
    """Keras tells objects apart by their address in memory."""
    numbers: dict[bytes, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return b'"shared_object_id": %d' % numbers.setdefault(match[1], len(numbers))

    return re.sub(rb'"shared_object_id": (\d+)', number, config)
