"""Frames: COBS, CRC, and finding them again on a bad line."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.link.frame import MAX_BODY, Frame, FrameDecoder, cobs_decode, cobs_encode, encode_frame

BYTES = st.integers(0, 255)
FRAMES = st.builds(Frame, BYTES, BYTES, st.binary(max_size=MAX_BODY))


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"", "01"),
        (b"\0", "01 01"),
        (b"\0\0", "01 01 01"),
        (b"\x11\x22\0\x33", "03 11 22 02 33"),
        (b"\x11\0\0\0", "02 11 01 01 01"),
        (bytes(range(1, 255)), "ff " + bytes(range(1, 255)).hex()),
        (bytes(range(255)), "01 ff " + bytes(range(1, 255)).hex()),
        (bytes(range(1, 256)), "ff " + bytes(range(1, 255)).hex() + " 02 ff"),
        (bytes(range(2, 256)) + b"\0", "ff " + bytes(range(2, 256)).hex() + " 01 01"),
    ],
)
def test_cobs_examples_of_the_paper(data, encoded):
    """The table in Wikipedia's "Consistent Overhead Byte Stuffing", which follows the paper."""
    assert cobs_encode(data) == bytes.fromhex(encoded)
    assert cobs_decode(bytes.fromhex(encoded)) == data


@given(st.binary(max_size=1200) | st.integers(240, 520).map(lambda size: b"\x01" * size))
def test_cobs_has_no_zero_and_reads_back(data):
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + 1 + len(data) // 254
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize("encoded", [b"\x05\x01", b"\0", b"\x02\0", b"\xff" + b"\x01" * 100])
def test_what_is_not_cobs(encoded):
    assert cobs_decode(encoded) is None


@given(FRAMES)
def test_frames_read_back(frame):
    encoded = encode_frame(frame)
    assert encoded[0] == encoded[-1] == 0
    assert FrameDecoder().feed(encoded) == [frame]


@given(st.lists(st.tuples(FRAMES, st.binary(max_size=700))), st.integers(1, 50))
def test_noise_between_frames_is_skipped_however_it_is_cut(pairs, size):
    line = b"".join(encode_frame(frame) + noise for frame, noise in pairs)
    decoder = FrameDecoder()
    found = [frame for at in range(0, len(line), size) for frame in decoder.feed(line[at : at + size])]
    assert found == [frame for frame, _ in pairs]


@given(FRAMES, st.data())
def test_a_changed_byte_is_noticed(frame, data):
    encoded = bytearray(encode_frame(frame))
    at = data.draw(st.integers(1, len(encoded) - 2))
    encoded[at] ^= data.draw(st.integers(1, 255))
    assert FrameDecoder().feed(bytes(encoded)) == []


def test_endless_garbage_takes_no_memory():
    decoder = FrameDecoder()
    for _ in range(1000):
        assert decoder.feed(b"x" * 1000) == []
    assert len(decoder._pending) < 1000
    good = Frame(1, 2, b"good")
    assert decoder.feed(encode_frame(good)) == [good]


def test_bodies_are_bounded():
    with pytest.raises(ValueError, match="room for 1020"):
        encode_frame(Frame(0, 1, bytes(1021)))
    content = b"\x01\x02" + bytes(1021)
    line = cobs_encode(content + zlib.crc32(content).to_bytes(4, "little"))
    assert FrameDecoder().feed(b"\0" + line + b"\0") == []
