"""What is done stays done: each finished stage is saved, and the same recipe goes on behind the last one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .data import Samples
from .result import StageReport
from .saving import save_model

__all__ = ["Checkpoints", "Progressed", "fingerprints"]

_STATE = "stages.json"
_FORMAT = 1


@dataclass(frozen=True)
class Progressed:
    """How far a recipe is.

    Attributes:
        model: After the last stage.
        reports: `original` first.
        zeros: Layers whose zero weights must stay zero.
        shared: Layers whose equal weights must stay equal.
    """

    model: Any
    reports: tuple[StageReport, ...]
    zeros: frozenset[str]
    shared: frozenset[str]


def fingerprints(model: Any, samples: Sequence[Samples], steps: Sequence[dict[str, Any]]) -> list[str]:
    """For each step, the first being the measurement of the model as it came, a hash of all its result depends on."""
    digest = hashlib.sha256(model.to_json().encode())
    for array in (*model.get_weights(), *(array for part in samples for array in (*part.columns, part.labels))):
        digest.update(np.ascontiguousarray(array).tobytes())
    found = []
    for step in steps:
        digest.update(json.dumps(step, sort_keys=True).encode())
        found.append(digest.hexdigest())
    return found


class Checkpoints:
    """A folder with the model after each finished stage.

    Args:
        folder: Made when the first stage is saved.
        expected: From `fingerprints`.
    """

    def __init__(self, folder: Path, expected: Sequence[str]) -> None:
        self.folder = folder
        self._expected = list(expected)

    def resume(self, load: Any) -> Progressed | None:
        """The last stage that was finished with the same model, data and recipe up to it; None where there is none.

        Args:
            load: Reads a Keras model from a path.

        Raises:
            InputError: the folder holds something else.
        """
        path = self.folder / _STATE
        if not path.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise InputError(
                    "is not empty, and not the work folder of a recipe",
                    where=str(self.folder),
                    hint="give --work another folder",
                )
            return None
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            usable = [] if saved["format"] != _FORMAT else self._usable(saved["stages"])
            if not usable:
                return None
            last = usable[-1]
            return Progressed(
                model=load(self.folder / last["file"]),
                reports=tuple(StageReport.from_dict(entry["report"]) for entry in usable),
                zeros=frozenset(last["zeros"]),
                shared=frozenset(last["shared"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"is damaged: {error}", where=str(path), hint="remove the folder to start from the first stage"
            ) from error

    def _usable(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        count = 0
        for entry, expected in zip(entries, self._expected, strict=False):
            if entry["fingerprint"] != expected or not (self.folder / entry["file"]).is_file():
                break
            count += 1
        return entries[:count]

    def save(self, progressed: Progressed) -> None:
        """Add the last stage. Raises InputError where the folder cannot be written."""
        place = len(progressed.reports) - 1
        file = f"{place:02}-{progressed.reports[-1].name}.keras"
        save_model(progressed.model, self.folder / file)
        path = self.folder / _STATE
        known = self._entries() if path.is_file() else []
        entries = known[:place]
        entries.append(
            {
                "fingerprint": self._expected[place],
                "file": file,
                "report": asdict(progressed.reports[-1]),
                "zeros": sorted(progressed.zeros),
                "shared": sorted(progressed.shared),
            }
        )
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"format": _FORMAT, "stages": entries}, indent=1), encoding="utf-8")
        partial.replace(path)
        self._forget([entry for entry in known[place:] if entry["file"] != file])

    def remove(self) -> None:
        """Take away what `save` wrote."""
        path = self.folder / _STATE
        if not path.is_file():
            return
        self._forget(self._entries())
        path.unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))["stages"]
        return entries

    def _forget(self, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            (self.folder / entry["file"]).unlink(missing_ok=True)
