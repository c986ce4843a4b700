"""The device's side alone: raw bytes into the real application in C, under the sanitizers."""

from __future__ import annotations

import struct
import time
import zlib

import pytest
from device_app import build_app
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.link import SubprocessStream
from tinyml_sdk.link.frame import Frame, FrameDecoder, cobs_encode, encode_frame
from tinyml_sdk.link.messages import REPLY, ErrorCode, MessageType


class Device:
    """The application, and one raw exchange with it."""

    def __init__(self, line):
        self._line = line
        self._decoder = FrameDecoder()

    def send(self, data):
        self._line.write(data)

    def receive(self, count, seconds=30.0):
        frames = []
        end = time.monotonic() + seconds
        while len(frames) < count and time.monotonic() < end:
            frames += self._decoder.feed(self._line.read(end))
        return frames

    def ask(self, sequence, kind, body=b""):
        self.send(encode_frame(Frame(sequence, kind, body)))
        (reply,) = self.receive(1)
        return reply


@pytest.fixture(scope="module")
def device():
    with SubprocessStream([build_app()]) as line:
        yield Device(line)


def invocations(device):
    return device.ask(200, MessageType.READ_ARENA, struct.pack("<IH", 603, 1)).body[0]


def test_the_same_request_twice_is_done_once(device):
    before = invocations(device)
    request = encode_frame(Frame(7, MessageType.INVOKE, b"\3\0"))
    device.send(request * 3)
    assert device.receive(3) == [Frame(7, MessageType.INVOKE | REPLY, bytes(24))] * 3
    assert invocations(device) == before + 3


def test_the_same_number_on_another_request_is_a_new_request(device):
    before = invocations(device)
    device.ask(9, MessageType.INVOKE, b"\1\0")
    device.ask(9, MessageType.INVOKE, b"\2\0")
    assert invocations(device) == before + 3


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (0x00, b"", ErrorCode.UNKNOWN_REQUEST),
        (0x42, b"what?", ErrorCode.UNKNOWN_REQUEST),
        (0x81, b"", ErrorCode.UNKNOWN_REQUEST),
        (MessageType.INFO, b"x", ErrorCode.MALFORMED),
        (MessageType.MEMORY, b"x", ErrorCode.MALFORMED),
        (MessageType.RESET, b"x", ErrorCode.MALFORMED),
        (MessageType.SESSION, b"x", ErrorCode.MALFORMED),
        (MessageType.SESSION, b"12345", ErrorCode.MALFORMED),
        (MessageType.WRITE_INPUT, b"\0\0\0\0", ErrorCode.MALFORMED),
        (MessageType.WRITE_INPUT, struct.pack("<BI", 2, 0), ErrorCode.OUT_OF_RANGE),
        (MessageType.WRITE_INPUT, struct.pack("<BI", 0, 598) + b"abc", ErrorCode.OUT_OF_RANGE),
        (MessageType.WRITE_INPUT, struct.pack("<BI", 0, 0xFFFFFFFF) + b"abc", ErrorCode.OUT_OF_RANGE),
        (MessageType.WRITE_INPUT, struct.pack("<BI", 1, 0) + bytes(4), ErrorCode.OUT_OF_RANGE),
        (MessageType.INVOKE, b"\1", ErrorCode.MALFORMED),
        (MessageType.INVOKE, b"\1\0\0", ErrorCode.MALFORMED),
        (MessageType.INVOKE, b"\0\0", ErrorCode.OUT_OF_RANGE),
        (MessageType.INVOKE, b"\x11\0", ErrorCode.OUT_OF_RANGE),
        (MessageType.INVOKE, b"\xff\xff", ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_OUTPUT, b"", ErrorCode.MALFORMED),
        (MessageType.READ_OUTPUT, struct.pack("<BIH", 2, 0, 1), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_OUTPUT, struct.pack("<BIH", 0, 0, 257), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_OUTPUT, struct.pack("<BIH", 0, 599, 2), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_OUTPUT, struct.pack("<BIH", 0, 0xFFFFFFFF, 2), ErrorCode.OUT_OF_RANGE),
        (MessageType.RUN_LAYERS, b"\0\0", ErrorCode.MALFORMED),
        (MessageType.RUN_LAYERS, struct.pack("<HH", 0, 0), ErrorCode.OUT_OF_RANGE),
        (MessageType.RUN_LAYERS, struct.pack("<HH", 0, 3), ErrorCode.OUT_OF_RANGE),
        (MessageType.RUN_LAYERS, struct.pack("<HH", 2, 1), ErrorCode.OUT_OF_RANGE),
        (MessageType.RUN_LAYERS, struct.pack("<HH", 65535, 65535), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_ARENA, b"", ErrorCode.MALFORMED),
        (MessageType.READ_ARENA, struct.pack("<IH", 604, 1), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_ARENA, struct.pack("<IH", 0xFFFFFFFF, 256), ErrorCode.OUT_OF_RANGE),
        (MessageType.READ_ARENA, struct.pack("<IH", 0, 257), ErrorCode.OUT_OF_RANGE),
    ],
)
def test_senseless_requests_are_refused(device, kind, body, code):
    before = invocations(device)
    assert device.ask(3, kind, body) == Frame(3, MessageType.ERROR, bytes((code, kind)))
    assert invocations(device) == before


@pytest.mark.parametrize("size", [256, 255, 254, 253, 249, 248, 247, 1, 0])
@pytest.mark.parametrize("fill", [0, 1, 0xFF])
def test_bodies_of_every_awkward_size_go_both_ways(device, size, fill):
    """Around 254 a COBS block fills up."""
    data = bytes((fill,)) * 251
    for offset in (0, 251):
        assert device.ask(4, MessageType.WRITE_INPUT, struct.pack("<BI", 0, offset) + data).type == 0x82
    reply = device.ask(5, MessageType.READ_ARENA, struct.pack("<IH", 0, size))
    assert reply.body == (data + data)[:size]


def test_a_frame_that_is_too_long_is_dropped(device):
    content = bytes((1, MessageType.WRITE_INPUT)) + struct.pack("<BI", 0, 0) + b"x" * 252
    line = cobs_encode(content + zlib.crc32(content).to_bytes(4, "little"))
    device.send(b"\0" + line + b"\0")
    assert device.ask(2, MessageType.MEMORY).sequence == 2


@given(st.lists(st.binary(max_size=40) | st.just(b"\0") | st.binary(min_size=250, max_size=600), max_size=8))
def test_no_noise_disturbs_the_device(device, noise):
    device.send(b"".join(noise))
    assert device.ask(6, MessageType.MEMORY) == Frame(6, MessageType.MEMORY | REPLY, struct.pack("<3I", 0, 0, 604))


@given(st.integers(0, 255), st.integers(0, 7) | st.integers(9, 255), st.binary(max_size=256))
def test_no_request_disturbs_the_device(device, sequence, kind, body):
    """Every type but reset, with any body: one reply, and nothing that a sanitizer would object to."""
    reply = device.ask(sequence, kind, body)
    assert reply.sequence == sequence
    assert reply.type in (kind | REPLY, MessageType.ERROR)
