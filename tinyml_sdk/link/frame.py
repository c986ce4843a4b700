"""Frames on a line that may lose, change or add bytes. The device's side is firmware_templates/app/frame.c.

```
0x00, COBS(sequence u8, type u8, body of at most 1,020 bytes, CRC-32 of all before, little-endian), 0x00
```

COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking, 1999) leaves no
zero inside, so a zero always ends a frame, and reading recovers at the next zero whatever came before.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

__all__ = ["MAX_BODY", "Frame", "FrameDecoder", "cobs_decode", "cobs_encode", "encode_frame"]

MAX_BODY = 1_020
"""Bytes of body in one frame. What a device takes is less: `DeviceInfo.frame_bytes`."""

_HEADER_BYTES = 2
_CRC_BYTES = 4
_MAX_CONTENT = _HEADER_BYTES + MAX_BODY + _CRC_BYTES
_MAX_ENCODED = _MAX_CONTENT + 1 + _MAX_CONTENT // 254
_MAX_RUN = 254


class Frame(NamedTuple):
    """One message: which exchange it belongs to, what it is, and its content."""

    sequence: int
    type: int
    body: bytes


def cobs_encode(data: bytes) -> bytes:
    """The same data without a zero byte, at most one byte in 254 longer (and one more)."""
    encoded = bytearray()
    pieces = data.split(b"\0")
    for position, piece in enumerate(pieces):
        rest = piece
        while len(rest) >= _MAX_RUN:
            encoded.append(_MAX_RUN + 1)
            encoded += rest[:_MAX_RUN]
            rest = rest[_MAX_RUN:]
        if rest or len(piece) < _MAX_RUN or position < len(pieces) - 1:
            encoded.append(len(rest) + 1)
            encoded += rest
    return bytes(encoded)


def cobs_decode(encoded: bytes) -> bytes | None:
    """The data, or None where `encoded` is not COBS: it has a zero, or ends inside a block."""
    if 0 in encoded:
        return None
    data = bytearray()
    position = 0
    while position < len(encoded):
        code = encoded[position]
        block = encoded[position + 1 : position + code]
        if len(block) != code - 1:
            return None
        data += block
        position += code
        if code <= _MAX_RUN and position < len(encoded):
            data.append(0)
    return bytes(data)


def encode_frame(frame: Frame) -> bytes:
    """A frame as it goes over the line, with a zero in front that cuts off whatever came before it.

    Raises:
        ValueError: the body has more than `MAX_BODY` bytes, or the numbers are not bytes.
    """
    if len(frame.body) > MAX_BODY:
        raise ValueError(f"a body of {len(frame.body)} bytes; a frame has room for {MAX_BODY}")
    content = bytes((frame.sequence, frame.type)) + frame.body
    checked = content + zlib.crc32(content).to_bytes(_CRC_BYTES, "little")
    return b"\0" + cobs_encode(checked) + b"\0"


class FrameDecoder:
    """Takes bytes as they arrive and gives the frames among them.

    What is no frame (boot text, half a frame, a frame with a flipped bit) is skipped. Holds at most one frame.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        frames = []
        *complete, rest = data.split(b"\0")
        for part in complete:
            self._append(part)
            frame = None if self._too_long else _decode(bytes(self._pending))
            self.clear()
            if frame is not None:
                frames.append(frame)
        self._append(rest)
        return frames

    def clear(self) -> None:
        """Forget the beginning of a frame."""
        self._pending.clear()
        self._too_long = False

    def _append(self, part: bytes) -> None:
        if self._too_long or len(self._pending) + len(part) > _MAX_ENCODED:
            self._pending.clear()
            self._too_long = True
        else:
            self._pending += part


def _decode(encoded: bytes) -> Frame | None:
    content = cobs_decode(encoded)
    if content is None or not _HEADER_BYTES + _CRC_BYTES <= len(content) <= _MAX_CONTENT:
        return None
    checked, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if zlib.crc32(checked) != int.from_bytes(crc, "little"):
        return None
    return Frame(checked[0], checked[1], checked[_HEADER_BYTES:])
