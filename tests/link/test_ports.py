"""Which port is meant, who holds one, and what to do when it cannot be opened."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from serial.tools import list_ports as serial_list_ports

from tinyml_sdk.errors import PortBusyError, TargetError
from tinyml_sdk.link import ports


def plugged_in(monkeypatch, *found):
    """Have pyserial find these (device, vendor, product, serial number)."""
    listed = [
        SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=number, description="USB", hwid="USB")
        for device, vid, pid, number in found
    ]
    listed.append(
        SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None, serial_number=None, description="n/a", hwid="n/a")
    )
    monkeypatch.setattr(serial_list_ports, "comports", lambda: listed)


NUCLEO = ("/dev/ttyACM0", 0x0483, 0x374B, "0667FF")
OTHER_NUCLEO = ("/dev/ttyACM1", 0x0483, 0x374B, "0668AA")
BRIDGE = ("/dev/ttyUSB0", 0x10C4, 0xEA60, None)


def test_ports_that_lead_nowhere_are_left_out(monkeypatch):
    plugged_in(monkeypatch, BRIDGE, NUCLEO)
    first, second = ports.list_ports()
    assert str(first) == "/dev/ttyACM0 (0483:374b, USB, 0667FF)"
    assert (second.device, second.usb) == ("/dev/ttyUSB0", "10c4:ea60")


def test_auto_is_the_port_with_an_id_of_the_board(monkeypatch):
    plugged_in(monkeypatch, BRIDGE, NUCLEO)
    assert ports.resolve_port("auto", ["0483:374b", "0483:374e"], "nucleo") == "/dev/ttyACM0"
    assert ports.resolve_port("/dev/ttyX", ["0483:374b"], "nucleo") == "/dev/ttyX"


@pytest.mark.parametrize(
    ("found", "usb", "message", "hint"),
    [
        ([], ["0483:374b"], "nucleo: no port has one of its USB ids (0483:374b)", "Plugged in: none"),
        ([BRIDGE], ["0483:374b"], "nucleo: no port has one of its USB ids", "/dev/ttyUSB0 (10c4:ea60, USB)"),
        ([NUCLEO, OTHER_NUCLEO], ["0483:374b"], "nucleo: 2 ports have its USB ids: /dev/ttyACM0", "--port"),
        ([NUCLEO], [], "nucleo: its board file names no USB ids", "/dev/ttyACM0"),
    ],
)
def test_auto_says_what_there_is(monkeypatch, found, usb, message, hint):
    plugged_in(monkeypatch, *found)
    with pytest.raises(TargetError) as caught:
        ports.resolve_port("auto", usb, "nucleo")
    assert str(caught.value).startswith(message)
    assert hint in caught.value.hint


def test_the_process_that_holds_a_port_is_named():
    master, terminal = os.openpty()
    path = os.ttyname(terminal)
    assert ports.holders(path) == ()
    code = f"import os, sys; os.open({path!r}, os.O_RDWR); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        (holder,) = ports.holders(path)
        assert holder.pid == other.pid
        assert "python" in holder.program
        error = ports.held_error(path, (holder,))
        assert isinstance(error, PortBusyError)
        assert str(error) == f"{path}: {holder} holds the port"
        assert f"kill {other.pid}" in error.hint
        other.stdin.close()
    os.close(master)
    os.close(terminal)


def test_modem_manager_goes_away_by_itself():
    error = ports.held_error("/dev/ttyACM0", (ports.Holder(1, "ModemManager"),))
    assert "wait half a minute" in error.hint


def test_a_holder_that_cannot_be_seen():
    error = ports.open_error("/dev/ttyACM0", OSError(errno.EBUSY, "Device or resource busy"))
    assert str(error) == "/dev/ttyACM0: another program holds the port"
    assert "fuser -v /dev/ttyACM0" in error.hint


def test_what_cannot_be_opened(monkeypatch, tmp_path):
    plugged_in(monkeypatch, NUCLEO)
    missing = ports.open_error("/dev/ttyUSB9", OSError(errno.ENOENT, "No such file"))
    assert str(missing) == "/dev/ttyUSB9: there is no such port"
    assert "Plugged in: /dev/ttyACM0" in missing.hint
    assert "no device behind it" in str(ports.open_error("/dev/ttyS3", OSError(errno.EIO, "Input/output error")))
    file = tmp_path / "file"
    file.touch()
    assert "is no serial port" in str(ports.open_error(str(file), OSError("Could not configure port")))
    assert "is no serial port" in str(ports.open_error("/dev/null", OSError(25, "Inappropriate ioctl for device")))
    assert "cannot be opened: strange" in str(ports.open_error("/dev/tty", OSError("strange")))


def test_a_port_without_permission_gets_the_line_that_helps(monkeypatch):
    import grp
    import pwd

    denied = OSError(errno.EACCES, "Permission denied")
    status = SimpleNamespace(st_gid=20, st_mode=0o020660)
    monkeypatch.setattr(Path, "stat", lambda _self: status)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name="ada"))
    monkeypatch.setattr(grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="dialout", gr_mem=[]))
    monkeypatch.setattr(os, "getgroups", lambda: [1000])
    error = ports.open_error("/dev/ttyUSB0", denied)
    assert str(error) == "/dev/ttyUSB0: this user may not open it"
    assert error.hint == "run `sudo usermod -aG dialout ada`, then log out and in"

    monkeypatch.setattr(grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="dialout", gr_mem=["ada"]))
    assert "newgrp dialout" in ports.open_error("/dev/ttyUSB0", denied).hint

    monkeypatch.setattr(grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="root", gr_mem=[]))
    assert 'KERNEL=="ttyUSB0", MODE="0660", GROUP="dialout"' in ports.open_error("/dev/ttyUSB0", denied).hint
