"""What is plugged in, and which boards it may be."""

from types import SimpleNamespace

import pytest
from serial.tools import list_ports

from tinyml_sdk import detect_boards
from tinyml_sdk.cli import main


@pytest.fixture
def plug(monkeypatch):
    def plug(*found):
        ports = [
            SimpleNamespace(device=device, vid=vid, pid=pid, serial_number="99", description="Probe", hwid="USB")
            for device, vid, pid in found
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: ports)

    return plug


def test_ports_are_matched_with_board_files(plug, capsys):
    plug(("/dev/ttyACM0", 0x0D28, 0x0204), ("/dev/ttyUSB3", 0xFFFF, 0x1234))
    first, second = detect_boards()
    assert first.port.device == "/dev/ttyACM0"
    assert "microbit" in first.boards
    assert second.boards == ()
    assert main(["boards", "detect"]) == 0
    out, err = capsys.readouterr()
    assert "/dev/ttyACM0" in out
    assert "0d28:0204" in out
    assert "no board file has its USB id" in " ".join(out.split())
    assert "--port /dev/ttyACM0" in err


def test_nothing_is_plugged_in(plug, capsys):
    plug()
    assert main(["boards", "detect"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "no serial port is plugged in" in err
