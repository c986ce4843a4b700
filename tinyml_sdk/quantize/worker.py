"""The process in which TensorFlow runs: it may print, crash or run out of memory, and only this process ends.

`job.py` describes how it talks with the parent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from ..errors import TinymlError
from .conversion import Conversion, convert
from .float_runner import Samples
from .job import CALIBRATION, FACTS, FLOAT_OUTPUTS, FLOAT_TENSORS, JOB, QUANTIZED, VALIDATION, Job
from .loading import FloatModel, load_model

__all__ = ["main"]

BATCH = 32


def main() -> int:
    """Do one job after the other; 0 when the parent has no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Only events belong on the pipe: the converter prints to stdout.
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as events:
        os.dup2(2, 1)
        while folder := sys.stdin.readline():
            _serve(Path(folder.rstrip("\n")), events)
    return 0


def _serve(folder: Path, events: TextIO) -> None:
    """The job in `folder`, up to a `done` or an `error` event."""
    try:
        _work(folder, events)
    except TinymlError as error:
        _send(events, "error", kind=type(error).__name__, **_parts(error))
    except MemoryError:
        _send(events, "error", kind="ToolError", message="out of memory", where="", hint="use fewer samples")
    else:
        _send(events, "done")


def _parts(error: TinymlError) -> dict[str, str]:
    return {"message": error.message, "where": error.where, "hint": error.hint}


def _send(events: TextIO, event: str, **facts: Any) -> None:
    events.write(json.dumps({"event": event, **facts}) + "\n")


def _work(folder: Path, events: TextIO) -> None:
    import keras

    keras.backend.clear_session()  # names count from one in every job
    job = Job(**json.loads((folder / JOB).read_text(encoding="utf-8")))

    def progress(stage: str, done: int, total: int) -> None:
        _send(events, "progress", stage=stage, done=done, total=total)

    progress("loading TensorFlow and the model", 0, 1)
    model = load_model(Path(job.model), job.name)
    _send(
        events,
        "loaded",
        inputs=[{"name": spec.name, "shape": spec.shape} for spec in model.inputs],
        parameters=model.parameters,
        outputs=model.outputs,
    )
    if not sys.stdin.readline():
        raise SystemExit(1)  # the parent refused the data, or is gone
    conversion = convert(model, _read(folder / CALIBRATION, len(model.inputs)), job, progress)
    _write(folder, conversion, model)
    if (folder / VALIDATION).exists():
        outputs = _predictions(model, _read(folder / VALIDATION, len(model.inputs)), progress)
        np.savez(folder / FLOAT_OUTPUTS, outputs=outputs)


def _read(path: Path, inputs: int) -> Samples:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[f"input_{position}"] for position in range(inputs)]


def _write(folder: Path, conversion: Conversion, model: FloatModel) -> None:
    (folder / QUANTIZED).write_bytes(conversion.content)
    facts = {
        "observed": conversion.observed,
        "chosen": conversion.chosen,
        "trained": conversion.trained,
        "tensors": list(conversion.tensors),
        "inputs": conversion.inputs,
        "outputs": conversion.outputs,
        "scopes": model.scopes,
        "layer_weights": [asdict(layer) for layer in conversion.layer_weights],
    }
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    arrays: dict[str, Any] = {f"t{index}": array for index, array in enumerate(conversion.tensors.values())}
    np.savez(folder / FLOAT_TENSORS, **arrays)


def _predictions(model: FloatModel, samples: Samples, progress: Any) -> npt.NDArray[Any]:
    count = len(samples[0])
    batches = []
    for start in range(0, count, BATCH):
        progress("running the float model", start, count)
        batches.append(model.predict([array[start : start + BATCH] for array in samples]))
    return np.concatenate(batches)
