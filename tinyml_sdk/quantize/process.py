"""The parent's side of the worker: started, listened to, and ended whatever happens."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import errors
from ..errors import MissingToolError, TinymlError, ToolError
from .job import JOB, Job

__all__ = ["ConversionProcess", "require_tensorflow"]

Progress = Callable[[str, int, int], None]

_ROOT = Path(__file__).resolve().parents[2]
# The folder that the parent was started in must not lend its modules to TensorFlow.
_START = "import sys; sys.path[0] = {root!r}; from tinyml_sdk.quantize.worker import main; sys.exit(main({folder!r}))"
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}


def require_tensorflow() -> None:
    """Raises MissingToolError where TensorFlow is not installed. Imports nothing."""
    for package in ("tensorflow", "keras"):
        try:
            found = importlib.util.find_spec(package) is not None
        except ValueError:  # a module that was put in place of it
            found = False
        if not found:
            raise MissingToolError(
                f"the {package} package is not installed",
                where="tinyml quantize",
                hint='pip install "tinyml-sdk[keras]"',
            )


class ConversionProcess:
    """One worker, alive inside a `with` block.

    Args:
        folder: Empty, and kept by the caller for as long as the process lives.
        job: What to do.
        deadline: Seconds it may take altogether.
        progress: Called for each step the worker reports.
    """

    def __init__(self, folder: Path, job: Job, deadline: float, progress: Progress) -> None:
        self._folder = folder
        self._job = job
        self._deadline = deadline
        self._progress = progress
        self._late = False

    def __enter__(self) -> ConversionProcess:
        require_tensorflow()
        (self._folder / JOB).write_text(json.dumps(self._job.to_dict()), encoding="utf-8")
        self._stderr = tempfile.TemporaryFile()  # closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(root=str(_ROOT), folder=str(self._folder))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | _QUIET,
            text=True,
            encoding="utf-8",
        )
        self._timer = threading.Timer(self._deadline, self._give_up)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def wait_loaded(self) -> dict[str, Any]:
        """What the worker says of the model: `inputs` (name, shape), `parameters`, `outputs` (layers).

        Raises:
            InputError: the model cannot be read or quantized.
            ToolError: the process died or missed the deadline.
        """
        return self._wait("loaded")

    def convert(self) -> None:
        """Let the worker go on, now that the data is in the folder, until its results are there too.

        Raises:
            InputError, ToolError: as for `wait_loaded`.
        """
        assert self._process.stdin is not None
        with self._dead_ends():
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        self._wait("done")

    def _wait(self, wanted: str) -> dict[str, Any]:
        for event in self._events():
            if event["event"] == wanted:
                return event
            if event["event"] == "error":
                raise _rebuilt(event)
            self._progress(event["stage"], event["done"], event["total"])
        raise self._failure()

    def _events(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):  # cut off in the middle
                return
            yield json.loads(line)

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    @contextmanager
    def _dead_ends(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise self._failure() from None

    def _failure(self) -> ToolError:
        code = self._process.wait()
        if self._late:
            return ToolError(
                f"the conversion gave no result within {self._deadline:g} s",
                where=self._job.name,
                hint="use fewer calibration samples or a longer deadline",
            )
        said = self._last_line()
        if code == -signal.SIGKILL:
            return ToolError(
                "the conversion was killed, most likely for lack of memory",
                where=self._job.name,
                hint="use fewer calibration samples, or a machine with more memory",
            )
        ending = f"crashed ({_signal_name(-code)})" if code < 0 else f"failed{said}"
        return ToolError(
            f"TensorFlow's converter {ending}",
            where=self._job.name,
            hint="it cannot handle some layer in int8: take layers out until it works to find which",
        )

    def _last_line(self) -> str:
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1][:300]}" if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _rebuilt(event: dict[str, Any]) -> TinymlError:
    """The worker's error, of its class."""
    kind: type[TinymlError] = getattr(errors, event["kind"])
    return kind(event["message"], where=event["where"], hint=event["hint"])
