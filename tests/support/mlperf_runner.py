"""MLPerf Tiny's runner as the device under test meets it: what it writes, and what it makes of the answers.

Written after benchmark/runner of mlcommons/tiny (serial_device.py, device_under_test.py, script.py): a command ends in
'%', its answer in a line with `m-ready`; data go out 31 bytes a command; times and results are found by their regular
expressions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import serial

__all__ = ["Inference", "MlperfRunner"]

_READY = "m-ready"
_CHUNK = 31


@dataclass(frozen=True)
class Inference:
    """What the runner keeps of an `infer`."""

    results: list[float]
    elapsed_us: int


class MlperfRunner:
    """The runner's side of a serial line.

    Args:
        write: Sends bytes.
        read: Returns what has come, or b"" after a short while.
        deadline: Seconds until an answer must be complete; the runner's own are 5.
    """

    def __init__(self, write: Callable[[bytes], object], read: Callable[[], bytes], deadline: float = 120.0) -> None:
        self._write = write
        self._read = read
        self._deadline = deadline
        self._pending = b""

    @classmethod
    def on_port(cls, port: serial.Serial) -> MlperfRunner:
        """On a port that was opened as the runner opens it: 115200 baud, 0.1 s timeout."""
        return cls(port.write, lambda: port.read(max(1, port.in_waiting)))

    def send(self, command: str) -> list[str]:
        """One command, and the lines of its answer without the last, m-ready."""
        self._write(f"{command}%".encode())
        return self.until_ready()

    def until_ready(self) -> list[str]:
        """The lines up to the next m-ready."""
        lines: list[str] = []
        end = time.monotonic() + self._deadline
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if not newline:
                assert time.monotonic() < end, f"no {_READY}: {lines} {self._pending!r}"
                self._pending += self._read()
                continue
            self._pending = rest
            text = line.decode().strip("\r\0")
            if _READY in text:
                return lines
            if text:
                lines.append(text)

    def name(self) -> str:
        """What the device calls itself."""
        return self._match(r"^m-(name)-dut-\[([^]]+)]$", self.send("name"))[2]

    def model(self) -> str:
        """By which the runner chooses its test."""
        return self._match(r"^m-(model)-\[([^]]+)]$", self.send("profile"))[2]

    def load(self, data: bytes) -> None:
        """The bytes of one input file."""
        assert self.send(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
        for start in range(0, len(data), _CHUNK):
            chunk = data[start : start + _CHUNK]
            done = start + _CHUNK >= len(data)
            assert self.send(f"db {''.join(f'{byte:02x}' for byte in chunk)}") == (["m-load-done"] if done else [])

    def infer(self, iterations: int, warmups: int) -> Inference:
        """Inferences on what was loaded."""
        lines = self.send(f"infer {iterations} {warmups}")
        found = self._match(r"^m-results-\[([^]]+)\]$", lines)
        laps = [int(lap[1]) for line in lines if (lap := re.match(r"^m-lap-us-([0-9]+)$", line))]
        assert len(laps) == 2, lines
        results = [float(number) for number in found[1].split(",") if number.strip()]
        return Inference(results, laps[1] - laps[0])

    @staticmethod
    def _match(pattern: str, lines: list[str]) -> re.Match[str]:
        matches = [match for line in lines if (match := re.match(pattern, line))]
        assert len(matches) == 1, lines
        return matches[0]
