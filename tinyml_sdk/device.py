"""A board as a Python object: models loaded onto it are functions of NumPy arrays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from .bench.inputs import inferences_of
from .bench.session import check_identity
from .bench.transfer import infer
from .boards import load_board
from .codegen import Optimize
from .errors import InputError, TargetError
from .firmware import build_inspected, inspect_model
from .graph import DType, Graph, Tensor
from .link import Client, DeviceInfo
from .progress import Progress
from .targets import SerialTarget, Target, open_target

__all__ = ["Board", "Session"]

Array = npt.NDArray[Any]

_PROJECT = "project"


class Board:
    """A board to load models onto: a real one with `port`, else an emulated one. A context manager that closes itself.

    ```python
    with tinyml_sdk.Board("nucleo_l4r5zi", port="auto") as board:
        session = board.load("model.tflite")
        y = session(x)
    ```

    Args:
        board: Name or file of the board.
        port: Its serial port: a device, `socket://host:port`, or `auto` for the one with the board's USB id.
        target: Without a port: `builtin` or `qemu`; the first of them that has the board where None.
        flash: With a port: whether `load` writes the firmware, or expects it there.
        tool: With a port: which of the board's flash tools to use; its first where None.
        toolchain: What builds firmware.
        optimize: `speed` or `size`.
        progress: Called with a stage, how much of it is done, and of how much.

    Attributes:
        description: What its board file says.

    Raises:
        BoardError: there is no such board, it cannot be emulated, or not be flashed.
        MissingToolError: the emulator or flash tool is not installed.
        TargetError: the port cannot be opened.
    """

    def __init__(
        self,
        board: str | Path,
        *,
        port: str | None = None,
        target: str | None = None,
        flash: bool = True,
        tool: str | None = None,
        toolchain: str = "zig",
        optimize: Optimize = "speed",
        progress: Progress | None = None,
    ) -> None:
        self.description = load_board(board)
        self._board_file = board
        self._folder = tempfile.TemporaryDirectory(prefix="tinyml-board-")
        self._target: Target
        if port is None:
            self._target = open_target(target, self.description)
        else:
            # PlatformIO flashes what only its project knows: boot loader, partition table.
            project = Path(self._folder.name) / _PROJECT if toolchain == "platformio" else None
            self._target = SerialTarget(
                self.description, port, flash=flash, tool=tool, project=project, progress=progress
            )
        self._build = flash or port is None
        self._toolchain = toolchain
        self._optimize = optimize
        self._session: Session | None = None

    def load(self, model: str | Path) -> Session:
        """Build a model's firmware, put it on the board and start it. Ends the session before.

        Args:
            model: Path of a .tflite file.

        Raises:
            ModelError, FitError, MissingToolError, BuildError: as for `build_firmware`.
            FlashError: as for `flash_firmware`.
            TargetError: the firmware does not answer, or is another one where it was not written.
        """
        inspection = inspect_model(model, self._board_file, self._optimize)
        self._end_session()
        elf = Path("firmware.elf")  # which nobody reads where nothing is flashed
        if self._build:
            folder = Path(self._folder.name) / _PROJECT
            elf = build_inspected(inspection, folder, self._toolchain, self._optimize).elf
        self._target.load(elf)
        client = Client(self._target.open(), retry_after=self._target.retry_after, deadline=self._target.deadline)
        check_identity(client.info(), inspection.graph, self.description)
        self._session = Session(inspection.graph, self._target, client)
        return self._session

    def close(self) -> None:
        """Let go of the board and end its session. May be repeated."""
        self._end_session()
        self._target.close()
        self._folder.cleanup()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.ended = True
            self._session = None


class Session:
    """A model on a board, as a function.

    Attributes:
        inputs: The model's inputs: their names, shapes, dtypes and quantization.
        outputs: The same of its outputs.
        counts: What each inference of the last call cost, in `unit`.
        unit: `cycles`, or `instructions` in an emulator.
        ended: Whether the board has been closed or has loaded another model.
    """

    def __init__(self, graph: Graph, target: Target, client: Client) -> None:
        self.inputs: tuple[Tensor, ...] = tuple(graph.input_tensors)
        self.outputs: tuple[Tensor, ...] = tuple(graph.output_tensors)
        self.counts: tuple[int, ...] = ()
        self.unit = target.counts
        self.ended = False
        self._graph = graph
        self._target = target
        self._client = client

    @property
    def info(self) -> DeviceInfo:
        """What the firmware says of itself."""
        return self._client.info()

    def __call__(self, *arrays: npt.ArrayLike) -> Any:
        """Run the model.

        Args:
            arrays: One for each input: of its shape; without its batch axis of one; or of many inferences along the
                first axis, which run one after the other. Floats are real values and are quantized as the model's
                inputs are; int8 goes in as it is.

        Returns:
            The output, or a tuple where the model has several, with the first axis as it was given. int8 where all
            inputs were int8, else float32 in real units.

        Raises:
            InputError: there are not as many arrays as inputs, or their shapes, dtypes or lengths do not fit.
            TargetError: the board does not answer, has crashed, or has been closed.
        """
        if self.ended:
            raise TargetError(
                "the session has ended: the board was closed or has loaded another model",
                where=self._graph.source,
                hint="load the model again",
            )
        given = [np.asarray(array) for array in arrays]
        inferences = self._inferences(given)
        answers, counts = [], []
        for inputs in inferences:
            ticks, outputs = infer(self._client, self._graph, inputs)
            counts.append(self._target.count(ticks, self._client.info()))
            answers.append(outputs)
        self.counts = tuple(counts)
        real = any(np.issubdtype(array.dtype, np.floating) for array in given)
        results = []
        for index, tensor in enumerate(self.outputs):
            values = [_real(answer[index], tensor) if real else answer[index] for answer in answers]
            results.append(_as_given(given[0], self.inputs[0], values))
        return results[0] if len(results) == 1 else tuple(results)

    def _inferences(self, given: list[Array]) -> list[list[Array]]:
        """For each inference its arrays, as the model stores them."""
        source = self._graph.source
        if len(given) != len(self.inputs):
            raise InputError(
                f"{len(given)} arrays for a model with {len(self.inputs)} inputs",
                where=source,
                hint=f"its inputs are {', '.join(f'{tensor.name} {tensor.shape}' for tensor in self.inputs)}",
            )
        columns = [
            inferences_of(array, tensor, f"{source}: input {index}")
            for index, (array, tensor) in enumerate(zip(given, self.inputs, strict=True))
        ]
        lengths = {len(column) for column in columns}
        if len(lengths) > 1:
            raise InputError(
                f"inputs with different numbers of inferences: {', '.join(map(str, sorted(lengths)))}",
                where=source,
                hint="give every input the same length along its first axis",
            )
        return [list(row) for row in zip(*columns, strict=True)]


def _real(values: Array, tensor: Tensor) -> Array:
    """Stored values in real units, float32."""
    if tensor.dtype is DType.FLOAT32 or tensor.quantization is None:
        return values.astype(np.float32)
    shifted = values.astype(np.float32) - np.float32(tensor.zero_point)
    scaled: Array = shifted * np.float32(tensor.scale)
    return scaled


def _as_given(first: Array, tensor: Tensor, answers: list[Array]) -> Array:
    """The answers of one output with the first axis that the first input came with."""
    if first.shape == tensor.shape:
        return answers[0]
    if first.ndim > len(tensor.shape):
        return np.stack(answers)
    if first.ndim == len(tensor.shape):
        return np.concatenate(answers)
    return answers[0][0] if answers[0].shape[:1] == (1,) else answers[0]
