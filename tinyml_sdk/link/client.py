"""The host's end of the conversation: every method is one or a few requests, each repeated until it is answered."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import DeviceResetError, DeviceTimeoutError
from .frame import Frame, FrameDecoder, encode_frame
from .messages import (
    REPLY,
    DeviceInfo,
    DeviceMemory,
    MessageType,
    fault_error,
    parse_ticks,
    refusal_error,
    senseless_error,
)
from .stream import ByteStream

__all__ = ["Client"]

MAX_RESETS = 3
"""How often `undisturbed` begins again."""

BOOTING_S = 0.5
"""`info` is repeated after this time at the latest: it is short, and the first one may come before anybody listens."""

MOST_PATIENCE = 4
"""How many times as long as the first one the last repetitions of a request wait."""

T = TypeVar("T")

KEPT_BYTES = 4096
"""How much of what a silent device said is kept for the error."""


class Client:
    """Asks a device that runs the benchmark application.

    A request is sent, and sent again, until its reply comes. The device answers a repeated
    request with the reply it has, so nothing happens twice. Everything on the line that is not the awaited reply is
    skipped. The first exchange is always `info`, which also waits for a device that is still booting.

    Args:
        stream: The line to the device.
        retry_after: Seconds before a request is repeated, more than two frames take on the line (0.05 s at 115200
            baud). Each repetition waits twice as long as the one before, as a device that is only slow has to answer
            them all; where the model does not run, at most four times as long, as the line may lose many.
        deadline: Seconds after which a request that takes the device no time counts as unanswered.
        work_deadline: The same for requests that run the model.

    Raises (every method):
        DeviceTimeoutError: no reply before the deadline; `received` has the last bytes that did arrive.
        ProtocolError: the device refuses the request, or its reply makes no sense.
        TargetError: the program on the device has crashed, or the line is gone.
    """

    def __init__(
        self, stream: ByteStream, *, retry_after: float = 0.5, deadline: float = 10.0, work_deadline: float = 120.0
    ) -> None:
        self._stream = stream
        self._retry_after = retry_after
        self._deadline = deadline
        self._work_deadline = work_deadline
        self._decoder = FrameDecoder()
        self._sequence = 0
        self._info: DeviceInfo | None = None
        self._token = 0
        self._unanswered = 0
        self._last_unanswered = 0  # of these, the last request and its repetitions

    def info(self) -> DeviceInfo:
        """What the device says of itself; asked once, until a reset."""
        if self._info is None:
            self._info = DeviceInfo.parse(self._exchange(MessageType.INFO))
        return self._info

    def write_input(self, index: int, data: bytes) -> None:
        """Write a whole input. Inputs share memory with layers: write them again before every inference.

        Raises:
            ValueError: there is no such input, or it has another size.
        """
        sizes = self.info().input_bytes
        if not 0 <= index < len(sizes) or len(data) != sizes[index]:
            raise ValueError(f"input {index} with {len(data)} bytes; the model's inputs have {list(sizes)} bytes")
        for offset, size in _chunks(0, len(data), self.info().write_bytes):
            self._request(MessageType.WRITE_INPUT, struct.pack("<BI", index, offset) + data[offset : offset + size])

    def invoke(self, count: int = 1) -> list[int]:
        """Run inferences. Those behind the first run on what it left in the arena: their time is right, no more.

        Args:
            count: How many, 1 or more.

        Returns:
            Counter ticks of each.
        """
        ticks: list[int] = []
        while len(ticks) < count:
            batch = min(count - len(ticks), self.info().most_invokes)
            ticks += parse_ticks(self._request(MessageType.INVOKE, struct.pack("<H", batch), works=True), batch)
        return ticks

    def read_output(self, index: int) -> bytes:
        """Read a whole output.

        Raises:
            ValueError: there is no such output.
        """
        sizes = self.info().output_bytes
        if not 0 <= index < len(sizes):
            raise ValueError(f"output {index}; the model has {len(sizes)}")
        return b"".join(
            self._read(MessageType.READ_OUTPUT, struct.pack("<BIH", index, offset, size), size)
            for offset, size in _chunks(0, sizes[index], self.info().frame_bytes)
        )

    def profile(self) -> list[int]:
        """Run one inference layer by layer, on inputs written before.

        Returns:
            Counter ticks of each layer.
        """
        return self.run_layers(0, self.info().layer_count)

    def run_layers(self, first: int, last: int) -> list[int]:
        """Run layers first to last - 1. In order from 0 to the last they are one inference.

        Returns:
            Counter ticks of each.

        Raises:
            ValueError: there are no such layers.
        """
        layers = self.info().layer_count
        if not 0 <= first <= last <= layers:
            raise ValueError(f"layers {first} to {last}; the model has {layers}")
        ticks: list[int] = []
        for start, count in _chunks(first, last - first, self.info().most_layers):
            body = self._request(MessageType.RUN_LAYERS, struct.pack("<HH", start, count), works=True)
            ticks += parse_ticks(body, count)
        return ticks

    def read_arena(self, offset: int, size: int) -> bytes:
        """Read bytes of the model's arena, where its tensors are.

        Raises:
            ValueError: the arena has no such bytes.
        """
        arena = self.info().arena_bytes
        if offset < 0 or size < 0 or offset + size > arena:
            raise ValueError(f"{size} bytes at {offset}; the arena has {arena}")
        return b"".join(
            self._read(MessageType.READ_ARENA, struct.pack("<IH", start, count), count)
            for start, count in _chunks(offset, size, self.info().frame_bytes)
        )

    def memory(self) -> DeviceMemory:
        """Memory marks: how deep the stack ever was."""
        return DeviceMemory.parse(self._request(MessageType.MEMORY))

    def undisturbed(self, work: Callable[[], T]) -> T:
        """Do something that the device must not be reset in the middle of; when it is, begin again.

        A device that starts again (a brown-out, a watchdog, its button) answers the next request as if nothing had
        happened, with its inputs lost. So it is given a token, which it forgets by that.

        Args:
            work: What to do, from writing the inputs to reading the outputs.

        Returns:
            What `work` returns.

        Raises:
            DeviceResetError: it was reset in the middle every time.
        """
        for _ in range(MAX_RESETS):
            if self._token == 0:
                self._token = secrets.randbelow(2**32 - 1) + 1
                self._request(MessageType.SESSION, struct.pack("<I", self._token))
            result = work()
            if self._request(MessageType.SESSION) == struct.pack("<I", self._token):
                return result
            self._token = 0
        raise DeviceResetError(
            f"the device has started again in the middle of its work, {MAX_RESETS} times in a row",
            hint="check its power supply and cable; a watchdog, a loose reset line or a second program on its port "
            "can do it too",
        )

    def lost(self) -> int:
        """How many requests, or their answers, got lost on the line so far; repetitions count as requests.

        Asks once more. A device answers in order: what it has not answered by then is not only late.
        """
        self._request(MessageType.MEMORY)
        return max(0, self._unanswered - self._last_unanswered)

    def reset(self) -> None:
        """Start the firmware again, also a crashed one, and wait until it answers."""
        self._exchange(MessageType.RESET)
        self._info = None
        self._token = 0
        self.info()

    def _read(self, kind: MessageType, body: bytes, size: int) -> bytes:
        data = self._request(kind, body)
        if len(data) != size:
            raise senseless_error(f"{size} bytes", data)
        return data

    def _request(self, kind: MessageType, body: bytes = b"", *, works: bool = False) -> bytes:
        self.info()
        return self._exchange(kind, body, works=works)

    def _exchange(self, kind: MessageType, body: bytes = b"", *, works: bool = False) -> bytes:
        """Send one request until it is answered, and return the body of the reply."""
        request = Frame(self._sequence, kind, body)
        self._sequence = (self._sequence + 1) % 256
        encoded = encode_frame(request)
        received = bytearray()
        deadline = self._work_deadline if works else self._deadline
        wait = first_wait = min(self._retry_after, BOOTING_S) if kind == MessageType.INFO else self._retry_after
        end = time.monotonic() + deadline
        self._last_unanswered = 0
        while (now := time.monotonic()) < end:
            self._stream.write(encoded)
            self._unanswered += 1
            self._last_unanswered += 1
            reply = self._await_reply(request, min(now + wait, end), received)
            if reply is not None:
                return reply
            wait = 2 * wait if works else min(2 * wait, MOST_PATIENCE * first_wait)
        heard = f"only what is no reply: {bytes(received[-40:])!r}" if received else "not a byte"
        raise DeviceTimeoutError(
            f"no answer to {kind.name.lower()} within {deadline:g} s, {heard}",
            hint="is this the firmware that tinyml built, on this board, at this baud rate? Reset the board and retry",
            received=bytes(received),
        )

    def _await_reply(self, request: Frame, until: float, received: bytearray) -> bytes | None:
        """The body of the reply, or None when it did not come in time."""
        while True:
            data = self._stream.read(until)
            received += data
            del received[:-KEPT_BYTES]
            frames = self._decoder.feed(data)
            self._count_answers(frames, request)
            for frame in frames:
                if _answers(frame, request):
                    return frame.body
            if time.monotonic() >= until:
                return None

    def _count_answers(self, frames: list[Frame], last: Frame) -> None:
        answers = [frame for frame in frames if frame.type & REPLY]
        self._unanswered -= len(answers)
        self._last_unanswered -= sum(frame.sequence == last.sequence for frame in answers)


def _answers(frame: Frame, request: Frame) -> bool:
    """Whether a frame is the reply to a request; raises when it is bad news instead.

    Replies to earlier requests, which were repeated needlessly, are none of our business any more.
    """
    kind = MessageType(request.type)
    if frame.type == MessageType.FAULT and kind != MessageType.RESET:
        raise fault_error(frame.body)
    if frame.sequence != request.sequence:
        return False
    if frame.type == MessageType.ERROR and len(frame.body) == 2 and frame.body[1] == kind:
        raise refusal_error(kind, frame.body[0])
    return frame.type == kind | REPLY


def _chunks(first: int, count: int, most: int) -> list[tuple[int, int]]:
    """A span as (first, count) of pieces that fit a frame."""
    end = first + count
    return [(start, min(most, end - start)) for start in range(first, end, most)]
