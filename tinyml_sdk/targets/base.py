"""What every way to run a firmware has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal, Protocol, TypeVar

from ..link.stream import ByteStream
from .blocks import ExecutedBlock

__all__ = ["CounterInfo", "Target"]

T = TypeVar("T")


class CounterInfo(Protocol):
    """What the firmware says of its counter; `link.DeviceInfo` is one."""

    @property
    def counter_hz(self) -> int:
        """Ticks in a second on the real chip."""
        ...

    @property
    def clock_hz(self) -> int:
        """Cycles of the core in a second on the real chip."""
        ...


class Target(ABC):
    """A board or an emulator of one. A context manager that closes itself.

    In this order: `load`, `open`, then talk over the stream; `reset` and a second `load` at any time between.
    `load` after `open` needs another `open`.

    Attributes:
        name: As `--target` names it.
        counts: What a count is in.
        retry_after: Seconds after which an unanswered request is to be repeated.
        deadline: Seconds after which a request that takes the device no time counts as unanswered.
    """

    name: ClassVar[str]
    counts: Literal["instructions", "cycles"]
    retry_after: float = 0.5
    deadline: float = 10.0

    @property
    def emulated(self) -> bool:
        """Whether time passes otherwise than on the chip, so that there is no latency to report."""
        return True

    @abstractmethod
    def version(self) -> str:
        """What runs the firmware, with its version."""

    @abstractmethod
    def load(self, elf: Path) -> None:
        """Put a firmware in place, not running yet.

        Raises:
            TargetError: it does not fit the board's memory, or there is no such file.
        """

    @abstractmethod
    def open(self) -> ByteStream:
        """Start the firmware and return its console.

        Raises:
            TargetError: nothing is loaded, or it does not start.
        """

    @abstractmethod
    def reset(self) -> None:
        """Start the loaded firmware anew, as the board's reset button does. The console stays open."""

    @abstractmethod
    def close(self) -> None:
        """Stop the firmware and free everything. May be called twice."""

    @abstractmethod
    def count(self, ticks: int, info: CounterInfo) -> int:
        """What a number of ticks of the firmware's counter is, in `counts`."""

    @abstractmethod
    def resolution(self, info: CounterInfo) -> float:
        """What one tick is, in `counts`. A count may be off by this much."""

    def record(self, work: Callable[[], T]) -> tuple[T, tuple[tuple[ExecutedBlock, ...], ...]]:
        """Do some work with the firmware, and tell what code it executed meanwhile.

        Returns:
            What `work` returns; and for each time between two successive readings of the firmware's counter the code
            that ran, nothing where the target cannot tell.
        """
        return work(), ()

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
