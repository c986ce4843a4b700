"""A serial port that comes, goes, is busy or is none, on pseudo-terminals and sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest

from tinyml_sdk.errors import DeviceTimeoutError, PortBusyError, TargetError
from tinyml_sdk.link import SerialLine, serial_line


class Terminal:
    """A pseudo-terminal behind a link that can be pulled and put back."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.master, self._other = os.openpty()
        tty.setraw(self._other)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._other))

    def pull(self) -> None:
        self.link.unlink()
        os.close(self.master)
        os.close(self._other)


@pytest.fixture
def terminal(tmp_path):
    plugged = Terminal(tmp_path / "port")
    yield plugged
    plugged.pull()


def soon(seconds=30.0):
    return time.monotonic() + seconds


def heard(line, count):
    """So many bytes from a line, in however many pieces they come."""
    data, end = b"", soon()
    while len(data) < count and time.monotonic() < end:
        data += line.read(end)
    return data


def taken(terminal, count):
    """The same from the other end of a terminal."""
    data = b""
    while len(data) < count:
        data += os.read(terminal.master, count - len(data))
    return data


def test_bytes_go_both_ways(terminal):
    with SerialLine(str(terminal.link), 115_200) as line:
        line.write(b"to the board\0\xff")
        assert taken(terminal, 14) == b"to the board\0\xff"
        os.write(terminal.master, bytes(range(256)))
        assert heard(line, 256) == bytes(range(256))
        start = time.monotonic()
        assert line.read(start + 0.2) == b""
        assert time.monotonic() - start > 0.15
        assert line.is_emulated


def test_a_terminal_has_no_reset_lines(terminal):
    with SerialLine(str(terminal.link), 115_200) as line:
        for how in ("none", "dtr_rts", "esp"):
            assert not line.reset_board(how)
        line.write(b"still there")
        assert taken(terminal, 11) == b"still there"


def test_the_lines_that_reset_a_board(monkeypatch):
    written = []

    class Port:
        def __setattr__(self, name, value):
            written.append((name, value))

        def close(self):
            pass

    monkeypatch.setattr(SerialLine, "_open", lambda _self: Port())
    monkeypatch.setattr(serial_line, "_RESET_PULSE_S", 0.0)
    line = SerialLine("port", 115_200)
    assert not line.reset_board("none")
    assert written == []
    assert line.reset_board("esp")
    assert written == [("dtr", False), ("rts", True), ("dtr", False), ("rts", False)]
    written.clear()
    assert line.reset_board("dtr_rts")
    assert written == [("dtr", False), ("rts", False), ("dtr", True), ("rts", True)]


def test_a_port_that_vanishes_and_returns(terminal):
    with SerialLine(str(terminal.link), 115_200) as line:
        terminal.pull()
        assert line.read(soon(0.3)) == b""
        line.write(b"lost")
        terminal.plug()
        assert line.read(soon(0.3)) == b""
        os.write(terminal.master, b"back")
        assert heard(line, 4) == b"back"
        line.write(b"again")
        assert taken(terminal, 5) == b"again"


def test_a_port_that_does_not_return(tmp_path):
    terminal = Terminal(tmp_path / "port")
    with SerialLine(str(terminal.link), 115_200, reopen_within=0.3) as line:
        terminal.pull()
        with pytest.raises(
            TargetError, match=r"vanished and was not back after 0\.3 s \(there is no such port\)"
        ) as caught:
            while True:
                line.read(soon(0.1))
        assert "cable" in caught.value.hint
        line.close()


def test_a_port_that_is_waited_for(tmp_path):
    link = tmp_path / "port"
    with pytest.raises(TargetError, match="no such port"):
        SerialLine(str(link), 115_200)
    later = threading.Timer(0.3, lambda: plugged.append(Terminal(link)))
    plugged: list[Terminal] = []
    later.start()
    SerialLine(str(link), 115_200, patience=60.0).close()
    later.join()
    plugged[0].pull()


@pytest.mark.parametrize("locks", [False, True])
def test_a_port_that_another_program_holds(terminal, monkeypatch, locks):
    monkeypatch.setattr(serial_line, "_BUSY_PATIENCE_S", 0.2)
    lock = "fcntl.flock(port, fcntl.LOCK_EX);" if locks else ""
    code = (
        f"import fcntl, os, sys; port = os.open({str(terminal.link)!r}, os.O_RDWR | os.O_NOCTTY); {lock}"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(PortBusyError, match=rf"\(process {other.pid}\) holds the port"):
            SerialLine(str(terminal.link), 115_200)
        other.stdin.close()
    SerialLine(str(terminal.link), 115_200).close()


def test_two_lines_in_one_process_exclude_each_other(terminal, monkeypatch):
    monkeypatch.setattr(serial_line, "_BUSY_PATIENCE_S", 0.0)
    with SerialLine(str(terminal.link), 115_200), pytest.raises(PortBusyError):
        SerialLine(str(terminal.link), 115_200)


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("/dev/null", "is no serial port"),
        ("nonsense://x", "cannot be opened"),
        ("socket://localhost:1", "cannot be opened"),
        ("", "no such port"),
    ],
)
def test_what_is_no_port(port, message):
    with pytest.raises(TargetError, match=message) as caught:
        SerialLine(port, 115_200)
    assert caught.value.hint


def test_a_file_is_no_port(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="is no serial port"):
        SerialLine(str(tmp_path / "file"), 115_200)


def test_nobody_reads(terminal, monkeypatch):
    monkeypatch.setattr(serial_line, "_WRITE_DEADLINE_S", 0.2)
    with SerialLine(str(terminal.link), 115_200) as line, pytest.raises(DeviceTimeoutError, match="took no data"):
        line.write(bytes(1_000_000))


def test_a_socket_is_a_port_too():
    server = socket.create_server(("localhost", 0))
    port = f"socket://localhost:{server.getsockname()[1]}"
    with server, SerialLine(port, 115_200, reopen_within=30) as line:
        peer, _ = server.accept()
        line.write(b"hello")
        assert peer.recv(5, socket.MSG_WAITALL) == b"hello"
        peer.sendall(b"x" * 300)
        assert heard(line, 300) == b"x" * 300
        assert not line.reset_board("esp")
        assert not line.is_emulated
        peer.close()
        assert line.read(soon()) == b"", "at once, as it is gone"
        line.write(b"")
        peer, _ = server.accept()
        peer.sendall(b"back")
        assert heard(line, 4) == b"back"
        peer.close()
