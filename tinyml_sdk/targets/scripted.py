"""A target that plays a script: for testing what talks to a device, without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import TargetError
from .base import CounterInfo, Target

__all__ = ["ScriptedTarget", "Step"]


@dataclass(frozen=True)
class Step:
    """One exchange.

    Attributes:
        expect: The bytes the host must write next; or a function that is shown all bytes written since the last
            step and says whether they are complete.
        reply: What the device sends then.
        delay: Seconds until the reply arrives.
        fault: Raised by the read that would have got the reply, such as a `TargetError` for a cable pulled out.
    """

    expect: bytes | Callable[[bytes], bool]
    reply: bytes = b""
    delay: float = 0.0
    fault: Exception | None = None


class ScriptedTarget(Target):
    """Plays steps in order, and is its own stream.

    What the host writes must match the script: a byte that differs raises TargetError at once.

    Args:
        steps: The exchanges. After the last one, whatever is written gets no answer.
        greeting: What the device sends when it starts, such as boot text.
        counts: What to claim; a tick counts as one of them.
    """

    name = "scripted"

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        greeting: bytes = b"",
        counts: Literal["instructions", "cycles"] = "instructions",
    ) -> None:
        self.counts = counts
        self.written = b""
        self.loaded: Path | None = None
        self.resets = 0
        self._script = tuple(steps)
        self._greeting = greeting
        self._position = 0
        self._pending = b""
        self._arriving: list[tuple[float, bytes | Exception]] = []

    @property
    def remaining(self) -> tuple[Step, ...]:
        """The steps that were not reached."""
        return self._script[self._position :]

    def version(self) -> str:  # noqa: D102 - as in Target
        return "scripted"

    def load(self, elf: Path) -> None:  # noqa: D102
        self.loaded = elf

    def open(self) -> ScriptedTarget:
        """Start the script from its beginning."""
        self._position = 0
        self._pending = b""
        self._arriving = [(0.0, self._greeting)]
        return self

    def reset(self) -> None:
        """Count the reset and greet again; the script goes on."""
        self.resets += 1
        self._pending = b""
        self._arriving = [(0.0, self._greeting)]

    def close(self) -> None:  # noqa: D102
        self._arriving = []

    def count(self, ticks: int, info: CounterInfo) -> int:  # noqa: D102
        return ticks

    def resolution(self, info: CounterInfo) -> float:  # noqa: D102
        return 1.0

    def write(self, data: bytes) -> None:
        """What the host sends. Raises TargetError where it is not what the script expects."""
        self.written += data
        self._pending += data
        while self._position < len(self._script) and self._matches(self._script[self._position]):
            step = self._script[self._position]
            self._position += 1
            self._arriving.append((time.monotonic() + step.delay, step.fault or step.reply))

    def read(self, deadline: float) -> bytes:
        """The replies that have arrived, or the first to arrive before the deadline, or nothing."""
        if not self._arriving or self._arriving[0][0] > deadline:
            time.sleep(max(0.0, deadline - time.monotonic()))
            return b""
        due, reply = self._arriving.pop(0)
        time.sleep(max(0.0, due - time.monotonic()))
        if isinstance(reply, Exception):
            raise reply
        return reply or self.read(deadline)

    def _matches(self, step: Step) -> bool:
        """Whether the host has written all that the step waits for; takes it from what is pending."""
        if callable(step.expect):
            complete = bool(self._pending) and step.expect(self._pending)
            taken = len(self._pending)
        else:
            taken = len(step.expect)
            complete = self._pending[:taken] == step.expect
            if not complete and not step.expect.startswith(self._pending):
                raise TargetError(
                    f"the host wrote {self._pending[:64].hex(' ')}, not {step.expect[:64].hex(' ')}",
                    where=f"step {self._position} of the script",
                    hint="correct the script, or what talks to the device",
                )
        if complete:
            self._pending = self._pending[taken:]
        return complete
