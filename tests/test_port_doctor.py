"""What `diagnose_port` finds wrong with boards that have one thing wrong each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from support.simulated import DIGITS, FaultyStream, TalkingLine, firmware
from support.tools import TARGET_TOOLS, require_tool

from tinyml_sdk import load_board, port_doctor
from tinyml_sdk.cli import main
from tinyml_sdk.errors import InputError, TargetError
from tinyml_sdk.link import Client, DeviceMemory, serial_line
from tinyml_sdk.link.frame import FrameDecoder
from tinyml_sdk.port_doctor import diagnose_port
from tinyml_sdk.simulator import PtyBoard
from tinyml_sdk.targets import open_target

BOARD = "mps2-an386"
ALL_STEPS = ["port", "permission", "alone", "open", "answer", "board", "model", "arena", "stack", "line"]


@contextmanager
def plugged(spoil=lambda stream: stream):
    """The digits firmware behind a pseudo-terminal; yields its path."""
    require_tool(TARGET_TOOLS["builtin"])
    with open_target("builtin", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        pty = PtyBoard(spoil(target.open()))
        ending = threading.Event()
        thread = threading.Thread(target=pty.serve, args=[lambda: not ending.is_set()], daemon=True)
        thread.start()
        try:
            yield pty.path
        finally:
            ending.set()
            thread.join()
            pty.close()


class Says:
    """A device that hears nothing and says the same over and over."""

    def __init__(self, text):
        self._text = text

    def write(self, data):
        pass

    def read(self, deadline):
        time.sleep(0.02)
        return self._text


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(port_doctor, "_ANSWER_DEADLINE_S", 60.0)
    monkeypatch.setattr(port_doctor, "_OTHER_BAUD_DEADLINE_S", 0.05)
    monkeypatch.setattr(port_doctor, "_LINE_TRIES", 4)


def broken(findings):
    """The findings that are not ok; the steps before the first of them all are."""
    return {finding.name: finding for finding in findings if finding.status != "ok"}


def test_a_board_that_works():
    with plugged() as port:
        findings = diagnose_port(port, board=BOARD, model=DIGITS)
    assert [finding.name for finding in findings] == ALL_STEPS
    assert not broken(findings)
    details = {finding.name: finding.detail for finding in findings}
    assert "pseudo-terminal" in details["port"]
    assert "the one of the file" in details["model"]
    assert "bytes were used so far" in details["stack"]


def test_the_command(capsys):
    with plugged() as port:
        assert main(["doctor", "--port", port]) == 0
        assert "give --model" in " ".join(capsys.readouterr().out.split())
        assert main(["doctor", "--port", port, "--board", "microbit"]) == 3
        out, err = capsys.readouterr()
        assert "broken" in out
        assert "error: " in err
        assert "--board mps2-an386" in err
    assert main(["doctor", "--board", "microbit"]) == 2


def test_a_stale_firmware(tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(DIGITS.read_bytes() + bytes(16))
    with plugged() as port:
        wrong = broken(diagnose_port(port, board=BOARD, model=other))
    assert list(wrong) == ["model"]
    assert "stale" in wrong["model"].detail
    assert "tinyml flash" in wrong["model"].remedy


def test_a_firmware_for_another_chip():
    with plugged() as port:
        wrong = broken(diagnose_port(port, board="netduinoplus2"))
    assert list(wrong) == ["board"]
    assert "built for mps2-an386" in wrong["board"].detail


@pytest.mark.parametrize(
    ("said", "detail", "remedy"),
    [
        (b"", "says nothing, at any speed", "flash it"),
        (b"\r\nwaiting for download\r\n", "boot loader", "release the BOOT button"),
        (b"Zephyr shell> ", "another firmware answers", "flash the firmware"),
        (b"\xf8\x80\xe6" * 20, "neither text nor the protocol", "baud"),
    ],
)
def test_a_board_that_does_not_answer(monkeypatch, said, detail, remedy):
    pty = PtyBoard(Says(b""))
    monkeypatch.setattr(port_doctor, "SerialLine", lambda device, *_, **__: TalkingLine(monkeypatch, said, device))
    findings = diagnose_port(pty.path, board=BOARD)
    pty.close()
    assert [finding.name for finding in findings] == ALL_STEPS[:5]
    wrong = broken(findings)
    assert detail in wrong["answer"].detail
    assert remedy in wrong["answer"].remedy


def test_the_wrong_speed_is_found(monkeypatch):
    """A pseudo-terminal has no speed, so the client is made deaf at all but one."""
    real = port_doctor._ask
    asked = []

    def ask(line, baud, deadline):
        asked.append(baud)
        return real(Says(b"") if baud != 460_800 else line, baud, 60.0 if baud == 460_800 else 0.05)

    monkeypatch.setattr(port_doctor, "_ask", ask)
    with plugged() as port:
        finding = broken(diagnose_port(port, board=BOARD))["answer"]
    assert asked[0] == 115_200
    assert finding.detail == "it answers at 460,800 baud; the file of mps2-an386 says 115,200"
    assert "console.baud" in finding.remedy


def test_who_holds_the_port(monkeypatch):
    monkeypatch.setattr(serial_line, "_BUSY_PATIENCE_S", 0.0)
    with plugged() as port:
        code = f"import os, sys; os.open({port!r}, os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            other.stdout.readline()
            wrong = broken(diagnose_port(port))
            other.stdin.close()
    assert f"process {other.pid}" in wrong["alone"].detail
    assert f"kill {other.pid}" in wrong["alone"].remedy


def test_ports_that_are_not_there_or_not_ours(monkeypatch):
    (finding,) = diagnose_port("/dev/ttyNothing")
    assert "there is no such port" in finding.detail
    (finding,) = diagnose_port("auto", board=BOARD)
    assert "names no USB ids" in finding.detail
    with pytest.raises(InputError, match="no board was named"):
        diagnose_port("auto")
    (finding,) = diagnose_port("socket://localhost:1")
    assert "cannot be opened" in finding.detail
    monkeypatch.setattr(os, "access", lambda *_: False)
    with plugged() as port:
        wrong = broken(diagnose_port(port))
    assert "may not open it" in wrong["port"].detail


def test_a_stack_that_has_run_over(monkeypatch):
    monkeypatch.setattr(Client, "memory", lambda _self: DeviceMemory(1024, 1024, 64))
    with plugged() as port:
        assert "has run over its 1,024 bytes" in broken(diagnose_port(port))["stack"].detail


def test_a_bench_refuses_what_a_stack_has_run_over(monkeypatch):
    from tinyml_sdk import benchmark

    require_tool(TARGET_TOOLS["builtin"])
    monkeypatch.setattr(Client, "memory", lambda _self: DeviceMemory(1024, 1024, 64))
    with pytest.raises(TargetError, match="stack has run over"):
        benchmark(DIGITS, board=BOARD)


def test_a_model_that_did_not_initialise(monkeypatch):
    real = Client.info

    def unready(self):
        info = real(self)
        return SimpleNamespace(**{**{key: getattr(info, key) for key in info.__dataclass_fields__}, "ready": False})

    monkeypatch.setattr(Client, "info", unready)
    with plugged() as port:
        assert "did not initialise" in broken(diagnose_port(port))["arena"].detail


class Late:
    """A device whose answers come when they have been asked for again."""

    def __init__(self, stream):
        self._stream = stream
        self._decoder = FrameDecoder()
        self._asked = None
        self._held = b""
        self._due = False
        self.repeated = 0

    def write(self, data):
        for frame in self._decoder.feed(data):
            self._due = frame.sequence == self._asked
            self.repeated += self._due
            self._asked = frame.sequence
        self._stream.write(data)

    def read(self, deadline):
        self._held += self._stream.read(deadline)
        if not self._due:
            return b""
        answers, self._held = self._held, b""
        return answers


def test_a_busy_machine_is_no_bad_line(monkeypatch):
    """Requests are repeated because the answers are late, and all are answered in the end."""
    monkeypatch.setattr(port_doctor, "request_seconds", lambda _baud: 0.01)
    monkeypatch.setattr(serial_line, "_READ_SLICE_S", 0.01)
    devices = []
    with plugged(lambda stream: devices.append(Late(stream)) or devices[0]) as port:
        findings = {finding.name: finding for finding in diagnose_port(port, board=BOARD)}
    assert devices[0].repeated >= 4
    assert findings["line"].status == "ok", findings["line"]
    assert findings["line"].detail == "4 requests, none lost"


@pytest.mark.slow
def test_a_bad_line(monkeypatch):
    monkeypatch.setattr(port_doctor, "_LINE_TRIES", 20)
    with plugged(lambda stream: FaultyStream(stream, every=200)) as port:
        findings = diagnose_port(port, board=BOARD)
    assert "another cable" in broken(findings)["line"].remedy
