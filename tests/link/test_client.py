"""The client and the real application in C, over pipes that are good, bad or dead."""

from __future__ import annotations

import random
import struct

import pytest
from device_app import build_app
from support.simulated import TalkingLine

from tinyml_sdk.errors import DeviceResetError, DeviceTimeoutError, ProtocolError, TargetError
from tinyml_sdk.link import Client, CounterKind, SubprocessStream
from tinyml_sdk.link.frame import Frame, encode_frame
from tinyml_sdk.link.messages import DeviceInfo, DeviceMemory, MessageType, parse_ticks

ARENA_BYTES = 604
INVOKE_COUNTER = 603
"""The tiny model counts inferences in this byte of the arena."""


class NoisyLine:
    """A line that loses, changes and doubles bytes, both ways, until it has done so often enough."""

    def __init__(self, line, seed, faults, rate=0.002):
        self._line = line
        self._random = random.Random(seed)
        self._rate = rate
        self.faults = faults

    def _spoil(self, data):
        spoiled = bytearray()
        for byte in data:
            if self.faults and self._random.random() < self._rate:
                self.faults -= 1
                spoiled += self._random.choice(
                    (b"", bytes((byte, byte)), bytes((byte ^ 1 << self._random.randrange(8),)))
                )
            else:
                spoiled.append(byte)
        return bytes(spoiled)

    def write(self, data):
        self._line.write(self._spoil(data))

    def read(self, deadline):
        return self._spoil(self._line.read(deadline))


@pytest.fixture
def app():
    with SubprocessStream([build_app()]) as line:
        yield line


def test_the_whole_conversation(app):
    client = Client(app)
    info = client.info()
    assert info == DeviceInfo(
        ready=True,
        counter=CounterKind.NONE,
        counter_hz=0,
        clock_hz=0,
        arena_bytes=ARENA_BYTES,
        stack_bytes=0,
        layer_count=2,
        frame_bytes=256,
        input_bytes=(600, 3),
        output_bytes=(600, 3),
        board="a board with a name that is longer than ",
        model_name="tiny",
        model_sha256=bytes((1, 2, 3)) + bytes(29),
    )
    first, second = random.Random(0).randbytes(600), bytes((1, 2, 200))
    client.write_input(0, first)
    client.write_input(1, second)
    assert client.read_arena(0, 603) == first + second
    assert client.invoke() == [0]
    assert client.read_output(0) == bytes(byte + 1 & 255 for byte in first)
    assert client.read_output(1) == bytes((2, 4, 144))
    client.write_input(0, first)
    assert client.run_layers(0, 1) == [0]
    assert client.read_output(0) == bytes(byte + 1 & 255 for byte in first)
    assert client.read_output(1) == bytes((2, 4, 144))
    assert client.run_layers(1, 2) == [0]
    assert client.read_output(1) == bytes((4, 8, 32))
    assert client.profile() == [0, 0]
    assert client.invoke(40) == [0] * 40
    assert client.read_arena(INVOKE_COUNTER, 1) == bytes((43,))
    assert client.memory() == DeviceMemory(0, 0, ARENA_BYTES)


def test_short_frames_carry_the_same():
    """Those of a model whose arena is small."""
    with SubprocessStream([build_app("TINY_FRAMES")]) as line:
        client = Client(line)
        assert (client.info().frame_bytes, client.info().write_bytes) == (120, 112)
        data = random.Random(0).randbytes(600)
        client.write_input(0, data)
        assert client.read_arena(0, 600) == data
        assert client.invoke(40) == [0] * 40
        assert client.read_output(0) == bytes(byte + 40 & 255 for byte in data)
        assert client.profile() == [0, 0]


class ResetLine:
    """A line to a device that is reset behind the client's back, at chosen requests."""

    def __init__(self, line, at):
        self._line = line
        self._at = at
        self.requests = 0

    def write(self, data):
        self.requests += 1
        if self.requests in self._at:
            self._line.write(encode_frame(Frame(200, MessageType.RESET, b"")))
        self._line.write(data)

    def read(self, deadline):
        return self._line.read(deadline)


def test_a_reset_in_the_middle_is_noticed_and_the_work_done_again(app):
    line = ResetLine(app, at=())
    client = Client(line)
    data = random.Random(0).randbytes(600)

    def work():
        client.write_input(0, data)
        client.invoke()
        return client.read_output(0)

    assert client.undisturbed(work) == bytes(byte + 1 & 255 for byte in data)
    requests = line.requests
    client.undisturbed(work)
    for at in range(line.requests + 1, line.requests + (line.requests - requests) + 1):
        line._at = (at, at + 1)
        line.requests = at - 1
        assert client.undisturbed(work) == bytes(byte + 1 & 255 for byte in data), at
    line._at = range(10**6)
    with pytest.raises(DeviceResetError, match="3 times in a row") as caught:
        client.undisturbed(work)
    assert "power" in caught.value.hint


def test_a_reset_starts_anew(app):
    client = Client(app)
    client.invoke(5)
    client.reset()
    assert client.read_arena(INVOKE_COUNTER, 1) == b"\0"


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_slows_down_but_changes_nothing(app, seed):
    line = NoisyLine(app, seed, faults=20)
    client = Client(line, retry_after=0.01)
    generator = random.Random(seed)
    turn = 0
    while line.faults:  # how many a turn meets depends on how often it had to repeat
        turn += 1
        data = generator.randbytes(600)
        client.write_input(0, data)
        client.invoke()
        assert client.read_output(0) == bytes(byte + 1 & 255 for byte in data)
        assert client.read_arena(INVOKE_COUNTER, 1) == bytes((turn % 256,))


def test_what_is_lost_is_told_from_what_is_late(app):
    class Losing:
        """Loses every third request."""

        def __init__(self):
            self.requests = 0
            self.read = app.read

        def write(self, data):
            self.requests += 1
            if self.requests % 3:
                app.write(data)

    line = Losing()
    client = Client(line, retry_after=0.02)
    for _ in range(10):
        client.memory()
    assert client._unanswered > 0
    requests = line.requests
    assert requests // 3 <= client.lost() <= line.requests // 3


def test_a_line_that_spoils_everything_times_out(app):
    client = Client(NoisyLine(app, 0, faults=10**9, rate=0.5), retry_after=0.01, deadline=0.3)
    with pytest.raises(DeviceTimeoutError, match="no answer to info") as caught:
        client.info()
    assert caught.value.hint


def test_another_session_on_a_running_device(app):
    Client(app).invoke(3)
    assert Client(app).read_arena(INVOKE_COUNTER, 1) == bytes((3,))


def test_boot_text_is_skipped():
    with SubprocessStream(["sh", "-c", 'printf "boot\\000rom: \\377 ok\\n"; exec "$0"', build_app()]) as line:
        assert Client(line).info().model_name == "tiny"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.write_input(0, b"short"),
        lambda client: client.write_input(2, b""),
        lambda client: client.write_input(-1, bytes(600)),
        lambda client: client.read_output(2),
        lambda client: client.run_layers(1, 3),
        lambda client: client.run_layers(-1, 1),
        lambda client: client.read_arena(600, 5),
        lambda client: client.read_arena(-1, 5),
    ],
)
def test_what_the_model_does_not_have_is_not_even_asked(app, call):
    with pytest.raises(ValueError, match=r"model|arena"):
        call(Client(app))


def test_a_model_that_does_not_initialise():
    with SubprocessStream([build_app("TINY_REFUSES")]) as line:
        client = Client(line)
        assert not client.info().ready
        for call in (
            client.invoke,
            client.profile,
            lambda: client.write_input(1, b"abc"),
            lambda: client.read_output(1),
        ):
            with pytest.raises(ProtocolError, match="did not initialise"):
                call()
        assert client.memory().arena_bytes == ARENA_BYTES


def test_a_program_that_dies_says_why():
    with SubprocessStream([build_app("TINY_CRASHES")]) as line:
        client = Client(line)
        with pytest.raises(TargetError, match=r"(?s)ended with status.*division by zero"):
            client.invoke()
        with pytest.raises(TargetError, match="ended with status"):
            client.invoke()


def test_a_program_that_does_not_exist():
    with pytest.raises(TargetError, match="cannot be started"):
        SubprocessStream(["/nowhere/firmware"])


class SaysOnce(TalkingLine):
    """And is silent from then on."""

    def read(self, deadline):
        said, self._text = super().read(deadline), b""
        return said


class Echo(SaysOnce):
    """A loose end of a cable: what is sent comes back."""

    def write(self, data):
        self._text += data


@pytest.mark.parametrize("line", [TalkingLine, Echo])
def test_no_device_at_all(monkeypatch, line):
    with pytest.raises(DeviceTimeoutError) as caught:
        Client(line(monkeypatch, b"", "port"), retry_after=0.2, deadline=0.5).info()
    request = encode_frame(Frame(0, MessageType.INFO, b""))
    assert set(caught.value.received.split(request)) == {b""}
    assert bool(caught.value.received) == (line is Echo)


class SilentLine(TalkingLine):
    """A line to a device that says nothing. Notes when it is written to."""

    def __init__(self, monkeypatch):
        super().__init__(monkeypatch, b"", "port")
        self.written = []
        self._now = 0.0

    def write(self, data):
        self.written.append(round(self._now, 3))


def test_repetitions_leave_a_slow_device_time(monkeypatch):
    """It has to answer them all before the next request: each within a fixed time would pile up for ever."""
    line = SilentLine(monkeypatch)
    client = Client(line, retry_after=1.0, deadline=10.0, work_deadline=40.0)
    with pytest.raises(DeviceTimeoutError, match="no answer to info within 10 s, not a byte"):
        client.info()
    assert line.written == [0, 0.5, 1.5, 3.5, 5.5, 7.5, 9.5], "which may come before the firmware listens"
    for kind, works, expected in (
        (MessageType.MEMORY, False, [10, 11, 13, 17]),
        (MessageType.INVOKE, True, [20, 21, 23, 27, 35, 51]),
    ):
        line.written.clear()
        with pytest.raises(DeviceTimeoutError):
            client._exchange(kind, works=works)
        assert line.written == expected


def test_a_device_that_never_stops_talking(monkeypatch):
    line = TalkingLine(monkeypatch, b"Guru Meditation\n" * 4096, "port")
    with pytest.raises(DeviceTimeoutError, match="Guru Meditation") as caught:
        Client(line, retry_after=0.1, deadline=0.2).info()
    assert 0 < len(caught.value.received) <= 4096


def answered_with(tmp_path, *frames):
    """A device that says these frames, whatever it is asked."""
    said = tmp_path / "said"
    said.write_bytes(b"".join(map(encode_frame, frames)))
    return SubprocessStream(["sh", "-c", 'cat "$0"; cat > /dev/null', said])


FAULT = struct.pack("<7I", 3, 0x1234, 0x5679, 1 << 9 | 1 << 15, 0x60000000, 0x2000FF00, 0x20000800)


def test_a_crash_is_told_with_its_place(tmp_path):
    fault = Frame(77, MessageType.FAULT, FAULT)
    with answered_with(tmp_path, fault) as line, pytest.raises(TargetError) as caught:
        Client(line).info()
    assert str(caught.value) == (
        "the program crashed (bus error, touching 0x60000000) at pc 0x00001234, called from 0x00005679, "
        "sp 0x2000ff00, exception 3, CFSR 0x00008200"
    )
    assert "addr2line" in caught.value.hint


def test_a_stack_overflow_is_told_as_such(tmp_path):
    fault = Frame(0, MessageType.FAULT, FAULT[:20] + struct.pack("<2I", 0x200007F8, 0x20000800))
    with (
        answered_with(tmp_path, fault) as line,
        pytest.raises(TargetError, match=r"crashed \(stack overflow, touching"),
    ):
        Client(line).info()


def test_a_crashed_device_can_be_reset(monkeypatch):
    said = encode_frame(Frame(0, MessageType.FAULT, FAULT)) + encode_frame(Frame(0, MessageType.RESET | 0x80, b""))
    client = Client(SaysOnce(monkeypatch, said, "port"), retry_after=0.1, deadline=0.2)
    with pytest.raises(DeviceTimeoutError, match="no answer to info"):
        client.reset()


INFO = bytes((3, 0, 1, 1, 1, 64, 2, 0)) + bytes(32) + struct.pack("<6I", 25, 25, 64, 99, 4, 8) + b"\1b\1m"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (INFO.replace(b"\3", b"\1", 1), "speaks protocol version 1, this is version 3"),
        (b"", "makes no sense"),
        (INFO[:-1], "makes no sense"),
        (INFO + b"x", "makes no sense"),
        (INFO[:20], "makes no sense"),
        (INFO[:2] + b"\x09" + INFO[3:], "makes no sense"),
        (INFO[:3] + b"\xff\xff" + INFO[5:], "makes no sense"),
        (INFO[:5] + b"\x10" + INFO[6:], "makes no sense"),
    ],
    ids=["version", "empty", "short", "long", "half", "counter", "counts", "frame"],
)
def test_answers_that_make_no_sense(tmp_path, body, message):
    with answered_with(tmp_path, Frame(0, MessageType.INFO | 0x80, body)) as line:
        with pytest.raises(ProtocolError, match=message) as caught:
            Client(line).info()
        assert caught.value.hint


def test_too_few_counter_values():
    assert parse_ticks(struct.pack("<2Q", 1, 2**40), 2) == [1, 2**40]
    with pytest.raises(ProtocolError, match="2 counter values in 8 bytes"):
        parse_ticks(bytes(8), 2)


def test_a_stack_that_ran_over_is_seen():
    assert not DeviceMemory.parse(struct.pack("<3I", 100, 1000, 64)).stack_overflowed
    assert DeviceMemory.parse(struct.pack("<3I", 1000, 1000, 64)).stack_overflowed
