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
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from .. import errors
from ..errors import InputError, MissingToolError, TinymlError, ToolError
from ..progress import Progress
from .job import JOB, Job

__all__ = ["Conversation", "Worker", "require_tensorflow"]


_ROOT = Path(__file__).resolve().parents[2]
# The folder that the parent was started in must not lend its modules to TensorFlow.
_START = "import sys; sys.path[0] = {root!r}; from tinyml_sdk.quantize.worker import main; sys.exit(main())"
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


class Worker:
    """A process with TensorFlow in it, for one job after the other: started for the first, and anew after a crash.

    Alive inside a `with` block. Importing TensorFlow takes seconds, so share one where several models are converted.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def send(self, line: str) -> bool:
        """Write a line to the process, started if need be; whether it could be written."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def events(self) -> Iterator[dict[str, Any]]:
        """What the process says, until it ends."""
        stdout = self._running().stdout
        assert stdout is not None
        while (line := stdout.readline()).endswith("\n"):  # or else cut off in the middle
            yield json.loads(line)

    def kill(self) -> None:
        """End the process now. From any thread."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        if self._process is not None:
            self._process.communicate()
        if self._stderr is not None:
            self._stderr.close()
        self._process = self._stderr = None

    def ending(self) -> tuple[int, str]:
        """The exit code of a process that has ended or is about to, and the last line on its stderr."""
        if self._process is None or self._stderr is None:
            return 0, ""
        code = self._process.wait()
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines() if line.strip()]
        return code, lines[-1][:300] if lines else ""

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            require_tensorflow()
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `end`
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START.format(root=str(_ROOT))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=os.environ | _QUIET,
                text=True,
                encoding="utf-8",
            )
        return self._process


class Conversation:
    """One job of a worker, inside a `with` block.

    A job that does not come to its end takes the worker's process with it: nobody knows what state that is in.

    Args:
        worker: Alive for as long as this is.
        folder: Empty, and kept by the caller.
        job: What to do.
        deadline: Seconds it may take altogether.
        progress: Called for each step the worker reports.
    """

    def __init__(self, worker: Worker, folder: Path, job: Job, deadline: float, progress: Progress) -> None:
        self._worker = worker
        self._folder = folder
        self._job = job
        self._deadline = deadline
        self._progress = progress
        self._late = False
        self._finished = False

    def __enter__(self) -> Conversation:
        (self._folder / JOB).write_text(json.dumps(self._job.to_dict()), encoding="utf-8")
        self._timer = threading.Timer(self._deadline, self._give_up)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self._finished:
            self._worker.end()

    def wait_loaded(self) -> dict[str, Any]:
        """What the worker says of the model: `inputs` (name, shape), `parameters`, `outputs` (layers).

        Raises:
            InputError: the model cannot be read or quantized.
            ToolError: the process died or missed the deadline.
        """
        return self._answer(str(self._folder), "loaded")

    def convert(self) -> None:
        """Let the worker go on, now that the data is in the folder, until its results are there too.

        Raises:
            InputError, ToolError: as for `wait_loaded`.
        """
        self._answer("go", "done")
        self._finished = True

    def _answer(self, line: str, wanted: str) -> dict[str, Any]:
        if not self._worker.send(line):
            raise self._failure()
        for event in self._worker.events():
            if event["event"] == wanted:
                return event
            if event["event"] == "error":
                error = _rebuilt(event)
                self._finished = isinstance(error, InputError)  # told in good order: the process waits for the next job
                raise error
            self._progress(event["stage"], event["done"], event["total"])
        raise self._failure()

    def _give_up(self) -> None:
        self._late = True
        self._worker.kill()

    def _failure(self) -> ToolError:
        code, said = self._worker.ending()
        if self._late:
            return ToolError(
                f"the conversion gave no result within {self._deadline:g} s",
                where=self._job.name,
                hint="use fewer calibration samples or a longer deadline",
            )
        if code == -signal.SIGKILL:
            return ToolError(
                "the conversion was killed, most likely for lack of memory",
                where=self._job.name,
                hint="use fewer calibration samples, or a machine with more memory",
            )
        failed = f"failed: {said}" if said else "failed"
        ending = f"crashed ({_signal_name(-code)})" if code < 0 else failed
        return ToolError(
            f"TensorFlow's converter {ending}",
            where=self._job.name,
            hint="it cannot handle some layer in int8: take layers out until it works to find which",
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _rebuilt(event: dict[str, Any]) -> TinymlError:
    """The worker's error, of its class."""
    kind: type[TinymlError] = getattr(errors, event["kind"])
    return kind(event["message"], where=event["where"], hint=event["hint"])
