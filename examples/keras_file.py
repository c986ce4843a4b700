"""The same .keras file for the same model, on every run."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

__all__ = ["save_keras"]


def save_keras(model: keras.Model, path: Path) -> None:
    """Save a model that is not compiled, without what differs from run to run: same model, same bytes."""
    raw = path.with_suffix(".raw.keras")
    model.save(raw)
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                content = json.dumps(json.loads(content) | {"date_saved": "1980-01-01@00:00:00"}).encode()
            elif name == "config.json":
                content = _renumber_objects(content)
            # A ZipInfo of its own, as the default carries the time of day.
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    raw.unlink()


def _renumber_objects(config: bytes) -> bytes:
    """Keras tells objects apart by their address in memory; number them in order of appearance instead."""
    numbers: dict[bytes, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return b'"shared_object_id": %d' % numbers.setdefault(match[1], len(numbers))

    return re.sub(rb'"shared_object_id": (\d+)', number, config)
