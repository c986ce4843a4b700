"""The builtin emulator: a board's core, console and counter on unicorn, with exact instruction counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ...boards.model import Board
from ...errors import BoardError, TargetError
from ..base import CounterInfo, T, Target
from ..blocks import ExecutedBlock
from .image import FirmwareImage, read_image
from .machine import Machine, processor_type, require_unicorn

__all__ = ["BuiltinTarget"]

_SLICE = 10_000_000
"""Instructions between two looks at the deadline: some 30 ms."""


class BuiltinTarget(Target):
    """A board in this process. It runs only while somebody reads from its console.

    So everything is deterministic: the firmware sees the same bytes at the same instruction however slow the host is.
    `read` returns as soon as the firmware has nothing more to say and polls its console for more.

    Raises:
        BoardError: the emulator does not model this board.
        MissingToolError: unicorn is not installed.
    """

    name = "builtin"
    counts = "instructions"

    def __init__(self, board: Board) -> None:
        if not board.emulators.builtin:
            hint = "use --target qemu" if board.emulators.qemu else "no emulator has it: use --port with a real one"
            raise BoardError("the builtin emulator does not model this board", where=board.name, hint=hint)
        require_unicorn()
        self._board = board
        self._image: FirmwareImage | None = None
        self._console: _Console | None = None

    @property
    def instructions(self) -> int:
        """Instructions executed since `open`."""
        return self._running().machine.instructions

    def version(self) -> str:  # noqa: D102 - as in Target
        return f"unicorn {require_unicorn().__version__}"

    def load(self, elf: Path) -> None:  # noqa: D102
        self.close()
        self._image = read_image(elf, processor_type(self._board).elf_machine)
        Machine(self._board, self._image)  # a firmware that does not fit is refused here

    def open(self) -> _Console:  # noqa: D102
        if self._image is None:
            raise TargetError("no firmware is loaded", where=self._board.name, hint="call load() before open()")
        self._console = _Console(Machine(self._board, self._image))
        return self._console

    def reset(self) -> None:  # noqa: D102
        self._running().machine.reset()

    def close(self) -> None:  # noqa: D102
        self._console = None
        self._image = None

    def count(self, ticks: int, info: CounterInfo) -> int:  # noqa: D102
        # Every counter of peripherals.py advances by one an instruction.
        return ticks

    def resolution(self, info: CounterInfo) -> float:  # noqa: D102
        return 1.0

    def record(self, work: Callable[[], T]) -> tuple[T, tuple[tuple[ExecutedBlock, ...], ...]]:  # noqa: D102
        machine = self._running().machine
        machine.start_recording()
        try:
            result = work()
        finally:
            intervals = machine.stop_recording()
        return result, intervals

    def _running(self) -> _Console:
        if self._console is None:
            raise TargetError("the emulator is not running", where=self._board.name, hint="call open() first")
        return self._console


class _Console:
    """The byte stream of a machine, which runs while it is read from."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def write(self, data: bytes) -> None:
        """Put bytes on their way. They arrive as fast as the firmware takes them."""
        self.machine.received.extend(data)

    def read(self, deadline: float) -> bytes:
        """What the firmware has sent once it waits for the host.

        b"" comes at once where it waits and has sent nothing, and at the deadline where it does neither.
        """
        machine = self.machine
        while True:
            waits = machine.run(_SLICE)
            if machine.sent:
                data = bytes(machine.sent)
                machine.sent.clear()
                return data
            if waits or time.monotonic() >= deadline:
                return b""
