"""A board on a serial port, from the first byte to the result: real firmware, emulated behind a pseudo-terminal."""

from __future__ import annotations

import json
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from support.corpus import corpus_model, without_corpus
from support.simulated import DIGITS, FaultyStream, TalkativeStream, TalkingLine, firmware
from support.tools import TARGET_TOOLS, require_tool

from tinyml_sdk import benchmark, list_boards, load_board
from tinyml_sdk.boards.model import FlashTool
from tinyml_sdk.errors import BoardError, DeviceTimeoutError, FlashError, MissingToolError, TargetError
from tinyml_sdk.flash import read_flash_image
from tinyml_sdk.link import Client, SerialLine
from tinyml_sdk.link.frame import Frame, FrameDecoder, encode_frame
from tinyml_sdk.link.messages import MessageType
from tinyml_sdk.simulator import BoardSimulator, PtyBoard
from tinyml_sdk.targets import SerialTarget, open_target
from tinyml_sdk.targets import serial as serial_target

BOARD = "mps2-an386"
IN_QEMU = [board.name for board in list_boards() if board.emulators.qemu and board.emulators.builtin]
EMULATED = [
    *((board.name, "builtin") for board in list_boards() if board.emulators.builtin),
    *((board, "qemu") for board in IN_QEMU),
]
KWS = corpus_model("mlperf_tiny/kws")
RUBBISH = random.Random(0).randbytes(3000)


@contextmanager
def simulated(board=BOARD, model=DIGITS, spoil=lambda stream: stream, link=None):
    """A board behind a pseudo-terminal; `spoil` wraps what is between the two. Yields the pty, and the target."""
    require_tool(TARGET_TOOLS["builtin"])
    with open_target("builtin", load_board(board)) as target:
        target.load(firmware(board, model))
        pty = PtyBoard(spoil(target.open()), link)
        ending = threading.Event()
        thread = threading.Thread(target=pty.serve, args=[lambda: not ending.is_set()], daemon=True)
        thread.start()
        try:
            yield pty, target
        finally:
            ending.set()
            thread.join()
            pty.close()


def test_a_whole_benchmark_over_a_port():
    with simulated() as (pty, _):
        result = benchmark(DIGITS, board=BOARD, port=pty.path, flash=False)
    assert result.check.bit_exact
    assert result.target.name == "serial"
    assert pty.path in result.target.version
    assert result.counter == "cycles"
    assert result.latency_us is None, "a pseudo-terminal tells that nothing here runs in real time"
    assert result.per_inference.median == pytest.approx(77_000, rel=0.2)


@pytest.mark.slow
def test_where_nothing_tells_of_an_emulator_time_is_what_the_counter_says():
    """Behind a socket, the emulated board is as good as a real one: the latency is that of its clock."""
    require_tool(TARGET_TOOLS["builtin"])
    done = threading.Event()

    def serve(server, stream):
        peer, _ = server.accept()  # the look at the port before building
        peer.close()
        peer, _ = server.accept()
        with peer:
            while not done.is_set():
                if select.select([peer], [], [], 0.01)[0]:
                    stream.write(peer.recv(4096))
                peer.sendall(stream.read(time.monotonic() + 0.01))

    server = socket.create_server(("localhost", 0))
    with server, open_target("builtin", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        thread = threading.Thread(target=serve, args=[server, target.open()], daemon=True)
        thread.start()
        result = benchmark(DIGITS, board=BOARD, port=f"socket://localhost:{server.getsockname()[1]}", flash=False)
        done.set()
        thread.join()
    assert result.check.bit_exact
    assert result.latency_us == pytest.approx(result.per_inference.median / 25)


@pytest.mark.slow
def test_a_stale_board_is_flashed_and_then_right(tmp_path, monkeypatch):
    """`st-flash` is a script here that hands the binary to the simulated board."""
    board = "netduinoplus2"
    stale = tmp_path / "stale.tflite"
    stale.write_bytes(DIGITS.read_bytes() + bytes(16))
    written = tmp_path / "written"
    script = tmp_path / "st-flash"
    script.write_text(f"#!/bin/sh\necho 50%\ncp firmware.bin {written}.part\nmv {written}.part {written}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    class Flashable:
        """Runs the stale firmware until another one was written."""

        def __init__(self, stream):
            self._stream = stream
            self._flashed = False

        def write(self, data):
            if written.exists() and not self._flashed:
                assert written.read_bytes() == read_flash_image(firmware(board), 0).data
                targets[0].load(firmware(board))
                self._stream = targets[0].open()
                self._flashed = True
            self._stream.write(data)

        def read(self, deadline):
            return self._stream.read(deadline)

    targets = []
    shown = []
    with simulated(board, stale, spoil=Flashable) as (pty, target):
        targets.append(target)
        with pytest.raises(TargetError, match="another model"):
            benchmark(DIGITS, board=board, port=pty.path, flash=False)
        result = benchmark(
            DIGITS, board=board, port=pty.path, tool="st-flash", progress=lambda *step: shown.append(step)
        )
    assert result.check.bit_exact
    assert ("flashing with st-flash", 50, 100) in shown
    assert "waiting for the firmware" in [stage for stage, _, _ in shown]


@pytest.mark.slow
@pytest.mark.parametrize(("board", "emulator"), EMULATED)
def test_every_emulated_board_over_a_port(board, emulator):
    require_tool(TARGET_TOOLS[emulator])
    elf = firmware(board)
    direct = benchmark(DIGITS, board=board, target=emulator)
    with BoardSimulator(load_board(board), elf, target=emulator) as simulator:
        result = benchmark(DIGITS, board=board, port=simulator.path, flash=False)
    assert simulator.error is None
    assert result.check.bit_exact
    assert result.latency_us is None
    assert result.ram == direct.ram
    if emulator == "builtin":
        # SysTick wraps wherever the host's pauses put it, and a reading of it then takes some instructions more.
        ours, theirs = result.per_inference, direct.per_inference
        assert ours.runs == theirs.runs
        assert max(abs(ours.median - theirs.median), abs(ours.min - theirs.min), abs(ours.max - theirs.max)) <= 8


@pytest.mark.slow
@pytest.mark.parametrize("board", IN_QEMU)
def test_qemus_own_terminal_is_a_board(board, tmp_path):
    """`-serial pty`: QEMU waits with -S until the port is open, or its boot text would be lost."""
    machine = load_board(board).emulators.qemu
    program = f"qemu-system-{machine.system}"
    require_tool(program)
    control = tmp_path / "qmp"
    command = [program, "-M", machine.machine, "-kernel", firmware(board), "-S", "-icount", "shift=0"]
    command += ["-cpu", machine.cpu] if machine.cpu else []
    command += ["-bios", machine.bios] if machine.bios else []
    command += ["-display", "none", "-nodefaults", "-serial", "pty", "-qmp", f"unix:{control},server=on,wait=off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as qemu:
        try:
            path = next(line for line in qemu.stdout if "/dev/pts/" in line).split("redirected to ")[1].split()[0]
            with socket.socket(socket.AF_UNIX) as qmp:
                qmp.connect(str(control))
                for request in ("qmp_capabilities", "cont"):
                    qmp.sendall(json.dumps({"execute": request}).encode())
                result = benchmark(DIGITS, board=board, port=path, flash=False)
        finally:
            qemu.kill()
    assert result.check.bit_exact
    assert result.latency_us is None


@pytest.mark.slow
@without_corpus
def test_kws_over_a_line_with_an_error_in_a_thousand_bytes():
    lines = []

    def spoil(stream):
        lines.append(FaultyStream(stream, every=1000))
        return lines[0]

    with simulated(model=KWS, spoil=spoil) as (pty, _):
        result = benchmark(KWS, board=BOARD, port=pty.path, flash=False, runs=24)
    assert lines[0].faults >= 10
    assert result.check.bit_exact
    assert result.check.inputs == 8


@pytest.mark.slow
@pytest.mark.parametrize("text", [b"I (31) boot: ESP-IDF v5.1\r\n", b"\0\0boot\0", RUBBISH], ids=len)
def test_text_before_between_and_inside_transfers(text):
    with simulated(spoil=lambda stream: TalkativeStream(stream, text)) as (pty, _):
        assert benchmark(DIGITS, board=BOARD, port=pty.path, flash=False).check.bit_exact


@pytest.mark.slow
def test_garbage_for_seconds_before_the_application(monkeypatch):
    class Booting:
        """Noise for two seconds, then the firmware."""

        def __init__(self, stream):
            self._stream = stream
            self._ready = time.monotonic() + 2.0

        def write(self, data):
            if time.monotonic() > self._ready:
                self._stream.write(data)

        def read(self, deadline):
            return self._stream.read(deadline) if time.monotonic() > self._ready else RUBBISH[:200]

    with simulated(spoil=Booting) as (pty, _), SerialTarget(load_board(BOARD), pty.path, flash=False) as target:
        assert Client(target.open()).info().board == BOARD


@pytest.mark.slow
def test_a_board_that_is_reset_once_in_the_middle_still_gives_right_results():
    resets = []

    class Brownout:
        """Resets the board after so many bytes to it."""

        def __init__(self, stream):
            self._stream = stream
            self._written = 0

        def write(self, data):
            before, self._written = self._written, self._written + len(data)
            self._stream.write(data)
            if before < 500 <= self._written:
                resets.append(targets[0].reset())

        def read(self, deadline):
            return self._stream.read(deadline)

    targets = []
    with simulated(spoil=Brownout) as (pty, target):
        targets.append(target)
        result = benchmark(DIGITS, board=BOARD, port=pty.path, flash=False)
    assert len(resets) == 1
    assert result.check.bit_exact


def test_a_port_that_vanishes_and_returns_in_the_middle(tmp_path):
    """The cable is pulled while the benchmark runs; the board, now at another device, keeps its state."""
    require_tool(TARGET_TOOLS["builtin"])
    link = tmp_path / "port"
    done = threading.Event()
    plugged = []

    class Counted:
        """Counts what the board is told."""

        def __init__(self, stream):
            self.read = stream.read
            self._write = stream.write
            self.written = 0

        def write(self, data):
            self.written += len(data)
            self._write(data)

    def play(stream):
        for most in (500, 10**9):
            pty = PtyBoard(stream, link)
            plugged.append(pty.path)
            pty.serve(lambda most=most: stream.written < most and not done.is_set())
            pty.close()
            done.wait(0.5)

    with open_target("builtin", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        thread = threading.Thread(target=play, args=[Counted(target.open())], daemon=True)
        thread.start()
        while not link.is_symlink():
            time.sleep(0.01)
        try:
            result = benchmark(DIGITS, board=BOARD, port=str(link), flash=False)
        finally:
            done.set()
            thread.join()
    assert len(plugged) == 2
    assert result.check.bit_exact


@pytest.mark.slow
def test_a_port_that_vanishes_for_good_is_what_the_error_says(monkeypatch, tmp_path):
    """Behind a link, which stays away: the number of the pseudo-terminal would soon be another program's."""
    monkeypatch.setitem(SerialLine.__init__.__kwdefaults__, "reopen_within", 1.0)
    link = tmp_path / "port"
    ended = []

    class Pulled:
        """The cable is pulled after so many bytes to the board."""

        def __init__(self, stream):
            self._stream = stream
            self._written = 0

        def write(self, data):
            self._written += len(data)
            if self._written > 500 and not ended:
                ended.append(True)
            self._stream.write(data)

        def read(self, deadline):
            return self._stream.read(deadline)

    require_tool(TARGET_TOOLS["builtin"])
    with open_target("builtin", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        pty = PtyBoard(Pulled(target.open()), link)

        def play():
            pty.serve(lambda: not ended)
            pty.close()

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        with pytest.raises(TargetError, match="the port vanished and was not back after 1 s") as caught:
            benchmark(DIGITS, board=BOARD, port=str(link), flash=False)
        thread.join()
    assert "cable" in caught.value.hint


@pytest.mark.slow
def test_a_stale_firmware_is_named(tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(DIGITS.read_bytes() + bytes(16))
    with simulated() as (pty, _), pytest.raises(TargetError, match="holds another model") as caught:
        benchmark(other, board=BOARD, port=pty.path, flash=False)
    assert "older firmware" in caught.value.hint


@pytest.mark.slow
def test_a_firmware_for_another_board_is_named():
    with simulated() as (pty, _), pytest.raises(TargetError, match=f"built for {BOARD}") as caught:
        benchmark(DIGITS, board="netduinoplus2", port=pty.path, flash=False)
    assert "--board" in caught.value.hint


class Says:
    """A device that says the same over and over and hears nothing."""

    def __init__(self, text):
        self._text = text

    def write(self, data):
        pass

    def read(self, deadline):
        time.sleep(0.05)
        return self._text


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (b"", "says nothing", "Press its reset button"),
        (b"rst:0x1 (POWERON)\r\nwaiting for download\r\n", "waits in its boot loader", "release the BOOT button"),
        (b"m-init-done\r\nm-ready\r\n", "MLPerf Tiny's protocol", "--app mlperf"),
        (b"Hello from another firmware\r\n", "another firmware answers", "flash the firmware"),
        (bytes(range(128, 250)), "neither text nor the protocol", "115,200 baud"),
    ],
)
def test_a_board_that_does_not_answer_gets_an_explanation(monkeypatch, said, message, hint):
    monkeypatch.setattr(serial_target, "SerialLine", lambda device, *_, **__: TalkingLine(monkeypatch, said, device))
    target = SerialTarget(load_board(BOARD), "/dev/ttyBoard", flash=False)
    with pytest.raises(DeviceTimeoutError, match=message) as caught:
        target.open()
    assert hint in caught.value.hint
    assert caught.value.where == "/dev/ttyBoard"


@pytest.mark.slow
def test_an_explanation_over_a_real_port(monkeypatch):
    monkeypatch.setattr(serial_target, "_BOOT_DEADLINE_S", 3.0)
    with simulated(spoil=lambda _stream: Says(b"Hello from another firmware\r\n")) as (pty, _):
        target = SerialTarget(load_board(BOARD), pty.path, flash=False)
        with pytest.raises(DeviceTimeoutError, match=r"another firmware answers.*\(waited 3 s\)") as caught:
            target.open()
    assert caught.value.where == pty.path


def test_what_cannot_be_flashed_is_known_before_anything_is_built(monkeypatch):
    with simulated() as (pty, _):
        with pytest.raises(BoardError, match="does not say how to flash"):
            SerialTarget(load_board(BOARD), pty.path)
        monkeypatch.setenv("PATH", "")
        with pytest.raises(MissingToolError, match="st-flash is not installed"):
            SerialTarget(load_board("netduinoplus2"), pty.path, tool="st-flash")
    with pytest.raises(TargetError, match="no such port"):
        SerialTarget(load_board("netduinoplus2"), "/dev/nothing", tool="st-flash")


class Crashed:
    """A board whose program has crashed: it tells so whatever it is asked, until it is reset."""

    def __init__(self, stream, forever=False):
        self._stream = stream
        self._forever = forever
        self._crashed = True
        self._decoder = FrameDecoder()
        self._answers = b""

    def write(self, data):
        for frame in self._decoder.feed(data):
            reset = frame.type == MessageType.RESET
            if self._crashed and not reset:
                fault = struct.pack("<7I", 3, 0x1234, 0x5678, 1 << 25, 0, 0x2000_1000, 0x2000_0000)
                self._answers += encode_frame(Frame(frame.sequence, MessageType.FAULT, fault))
                continue
            if reset and self._forever:
                self._answers += encode_frame(Frame(frame.sequence, MessageType.RESET | 0x80, b""))
                continue
            self._crashed = False
            self._stream.write(encode_frame(frame))

    def read(self, deadline):
        answers, self._answers = self._answers, b""
        return answers or self._stream.read(deadline)


def test_a_board_that_had_crashed_is_started_again():
    with simulated(spoil=Crashed) as (pty, _), SerialTarget(load_board(BOARD), pty.path, flash=False) as target:
        assert Client(target.open()).info().board == BOARD


def test_a_board_that_crashes_at_once_is_reported():
    with simulated(spoil=lambda stream: Crashed(stream, forever=True)) as (pty, _):
        target = SerialTarget(load_board(BOARD), pty.path, flash=False)
        with pytest.raises(TargetError, match=r"crashed \(division by zero\) at pc 0x00001234"):
            target.open()


def test_a_board_in_its_boot_loader_may_have_no_port_yet():
    pico = load_board(BOARD).model_copy(
        update={"flash_with": (FlashTool(tool="uf2", volume="NO-SUCH-DRIVE", family=1),)}
    )
    target = SerialTarget(pico, "/dev/not-yet")
    with pytest.raises(FlashError, match="no drive NO-SUCH-DRIVE is mounted"):
        target.load(firmware(BOARD))


def test_a_port_that_cannot_reset_says_so():
    with simulated() as (pty, _), SerialTarget(load_board(BOARD), pty.path, flash=False) as target:
        target.open()
        with pytest.raises(TargetError, match="cannot reset the board"):
            target.reset()


def test_slow_lines_get_more_time():
    assert serial_target.request_seconds(115_200) == 0.3
    assert serial_target.request_seconds(9600) > 1.5


def test_a_terminal_nobody_reads_does_not_stop_the_board():
    said = []

    def talkative(_stream):
        device = Says(bytes(3000))
        read = device.read
        device.read = lambda deadline: said.append(deadline) or read(deadline)
        return device

    with simulated(spoil=talkative) as (pty, _):
        while len(said) < 4:  # a terminal holds 4 KB
            time.sleep(0.01)
        reader = os.open(pty.path, os.O_RDONLY | os.O_NOCTTY)
        assert select.select([reader], [], [], 60)[0]
        os.close(reader)
