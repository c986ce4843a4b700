"""The digits example on simulated boards: firmware built once a session, and lines that can be spoiled."""

from __future__ import annotations

import random
import tempfile
import time
from collections import deque
from functools import cache
from pathlib import Path

import pytest
from support.tools import TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import build_firmware
from tinyml_sdk.link import ByteStream

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
_FOLDER = tempfile.TemporaryDirectory(prefix="tinyml-test-")


@cache
def firmware(board: str, model: Path = DIGITS) -> Path:
    """The ELF of a model for a board."""
    require_tool(TOOLCHAIN_TOOLS["zig"])
    folder = Path(_FOLDER.name) / f"{model.stem}-{board}"
    return build_firmware(model, folder, board=board).elf


class TalkingLine:
    """In place of a `SerialLine`: a device that hears nothing and says the same over and over.

    Time passes in reading alone, and at once, so that how long a silence is waited for costs nothing.
    """

    is_emulated = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: bytes, device: str) -> None:
        self.device = device
        self._text = text
        self._now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: self._now)

    def __enter__(self) -> TalkingLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def reset_board(self, how: str) -> bool:
        return False

    def set_baud(self, baud: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def read(self, deadline: float) -> bytes:
        self._now = min(deadline, self._now + 0.05)
        return self._text


class FaultyStream:
    """A stream that loses, flips, doubles and delays bytes, both ways, one in `every` of each direction.

    Attributes:
        faults: How many there were.
    """

    def __init__(self, stream: ByteStream, every: int, seed: int = 0) -> None:
        self._stream = stream
        self._every = every
        self._random = random.Random(seed)
        self._late: deque[tuple[float, bytes]] = deque()
        self.faults = 0

    def write(self, data: bytes) -> None:
        self._stream.write(self._spoiled(data))

    def read(self, deadline: float) -> bytes:
        data = self._spoiled(self._stream.read(deadline))
        if data and (self._late or self._random.randrange(self._every) < len(data)):
            self.faults += 1
            self._late.append((time.monotonic() + self._random.uniform(0, 0.4), data))
            data = b""
        while self._late and self._late[0][0] <= time.monotonic():
            data += self._late.popleft()[1]
        return data

    def _spoiled(self, data: bytes) -> bytes:
        spoiled = bytearray()
        for byte in data:
            if self._random.randrange(self._every):
                spoiled.append(byte)
                continue
            self.faults += 1
            flipped = byte ^ 1 << self._random.randrange(8)
            spoiled += self._random.choice(
                (b"", bytes((byte, byte)), bytes((flipped,)), bytes((byte, 0)), b"\xff\0\xff")
            )
        return bytes(spoiled)


class TalkativeStream:
    """A stream of a device that says more than was asked: text before, between and inside its frames."""

    def __init__(self, stream: ByteStream, text: bytes, every: int = 7) -> None:
        self._stream = stream
        self._text = text
        self._every = every
        self._reads = 0

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def read(self, deadline: float) -> bytes:
        data = self._stream.read(deadline)
        self._reads += 1
        if self._reads % self._every:
            return data
        return data[: len(data) // 2] + self._text + data[len(data) // 2 :]
