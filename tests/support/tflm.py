"""TFLM's interpreter for tests: one process that serves all models, started again when a model kills it.

The product's `TflmReference` takes a process for each call, a quarter of a second; here there are thousands of calls.
"""

from __future__ import annotations

import atexit
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tinyml_sdk.bench.tflm_reference import TflmReference

Array = npt.NDArray[Any]

needs_tflm = pytest.mark.skipif(not TflmReference.available(), reason="tflite-micro is not installed")


class TflmRefusalError(Exception):
    """TFLM did not accept the model, or died of it. The message is what it said last."""


class _Server:
    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, as it lives as long as the process
        atexit.register(self.stop)

    def run(self, model: bytes, inferences: Sequence[Sequence[Array]], anew: bool) -> list[list[Array]]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        self._stderr.seek(0)
        self._stderr.truncate()
        try:
            pickle.dump((model, [list(inputs) for inputs in inferences], anew), process.stdin)
            process.stdin.flush()
            reply = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            self.stop()
            raise TflmRefusalError(self._last_words()) from None
        if isinstance(reply, str):
            raise TflmRefusalError(f"{reply} {self._last_words()}")
        results: list[list[Array]] = reply
        return results

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("tflm_server.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        return self._process

    def _last_words(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-400:]


_server = _Server()


def run_tflm(model: bytes, inferences: Sequence[Sequence[Array]], *, anew: bool = True) -> list[list[Array]]:
    """The outputs of each inference, with variables reset before each if `anew`. Raises TflmRefusalError."""
    return _server.run(model, [[np.asarray(array) for array in inputs] for inputs in inferences], anew)
