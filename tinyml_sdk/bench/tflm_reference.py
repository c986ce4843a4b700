"""The trusted reference: TensorFlow Lite Micro's own interpreter, from the `tflite-micro` wheel.

It runs in a process of its own, since it aborts or reads wild memory on models it does not like. LiteRT is no
substitute: its kernels round differently, and differ among themselves.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingToolError, ToolError

__all__ = ["TflmReference"]

Array = npt.NDArray[Any]

_WORKER = Path(__file__).resolve().with_name("_tflm_worker.py")


class TflmReference:
    """One model in the reference interpreter. Every call starts a process, answers from a fresh state and ends it.

    Args:
        model: The bytes of a .tflite file. They need not be sound: a bad model ends only the process.
        deadline: Seconds one call may take altogether.
    """

    name = "tflite-micro"

    def __init__(self, model: bytes, *, deadline: float = 120.0) -> None:
        self._model = model
        self._deadline = deadline

    @staticmethod
    def available() -> bool:
        """Whether the wheel is installed (it exists for Linux on x86_64)."""
        return importlib.util.find_spec("tflite_micro") is not None

    @staticmethod
    def version() -> str:
        """The wheel's version. Raises MissingToolError when it is not installed."""
        try:
            return importlib.metadata.version("tflite-micro")
        except importlib.metadata.PackageNotFoundError:
            raise _missing() from None

    def run(self, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
        """Run independent inferences; state of one (variables, LSTM cells) does not reach the next.

        Args:
            inputs: For each inference its input arrays in the model's order, of exactly the model's shapes and dtypes.

        Returns:
            For each inference its output arrays in the model's order.

        Raises:
            MissingToolError: the wheel is not installed.
            ToolError: the interpreter refused the model or an input, died, or missed the deadline.
        """
        return self._call(inputs, ())

    def intermediates(self, inputs: Sequence[Array], tensor_indices: Sequence[int]) -> list[Array]:
        """The values of any tensors of the main graph after one inference.

        Every tensor that has data can be read: constants, inputs, outputs and all that lies between, none of them
        overwritten by a later layer, as this mode gives each a place of its own.

        Args:
            inputs: The inference's input arrays, as for `run`.
            tensor_indices: Positions in the main graph's tensor list.

        Returns:
            One array for each index, in that order.

        Raises:
            MissingToolError, ToolError: as for `run`; also for an index out of range or a tensor without data.
        """
        if not tensor_indices:
            return []
        return self._call([inputs], tensor_indices)[0]

    def _call(self, inputs: Sequence[Sequence[Array]], tensors: Sequence[int]) -> list[list[Array]]:
        if not inputs:
            return []
        if not self.available():
            raise _missing()
        try:
            worker = subprocess.run(
                [sys.executable, str(_WORKER)],
                input=self._request(inputs, tensors),
                capture_output=True,
                timeout=self._deadline,
                # BLAS would reserve memory for threads that nobody needs.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            raise _failure(f"gave no answer within {self._deadline:g} s", expired.stderr or b"") from None
        results = list(_complete(worker.stdout))
        if worker.returncode != 0 or len(results) != len(inputs):
            progress = f"{_ending(worker.returncode)} after {len(results)} of {len(inputs)} inferences"
            raise _failure(progress, worker.stderr)
        return results

    def _request(self, inputs: Sequence[Sequence[Array]], tensors: Sequence[int]) -> bytes:
        """See the worker for the format."""
        arity = len(inputs[0])
        if any(len(arrays) != arity for arrays in inputs):
            raise ValueError("inferences with different numbers of inputs")
        request: list[Array] = [
            np.frombuffer(self._model, np.uint8),
            np.array(tensors, np.int64),
            np.array([len(inputs), arity], np.int64),
            *(array for arrays in inputs for array in arrays),
        ]
        stream = io.BytesIO()
        for array in request:
            np.lib.format.write_array(stream, array, allow_pickle=False)
        return stream.getvalue()


def _complete(reply: bytes) -> Iterator[list[Array]]:
    """The inferences in a reply, up to where the worker died."""
    stream = io.BytesIO(reply)

    def read() -> Array:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    try:
        while stream.tell() < len(reply):
            yield [read() for _ in range(int(read()))]
    except (ValueError, EOFError):
        return


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return "gave up"
    try:
        return f"died of {signal.Signals(-returncode).name}"
    except ValueError:
        return f"died of signal {-returncode}"


def _failure(what: str, stderr: bytes) -> ToolError:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    said = f": {lines[-1]}" if lines else ""
    return ToolError(
        f"TensorFlow Lite Micro's interpreter {what}{said}",
        where=TflmReference.name,
        hint="it does not accept this model or these inputs, so its outputs cannot serve as the reference",
    )


def _missing() -> MissingToolError:
    return MissingToolError(
        "the tflite-micro package is not installed",
        where=TflmReference.name,
        hint="pip install 'tinyml-sdk[reference]' (Linux on x86_64 only)",
    )
