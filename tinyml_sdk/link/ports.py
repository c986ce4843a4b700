"""Serial ports of this machine: which there are, which is meant, who holds one, and why one cannot be opened."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import PortBusyError, TargetError

__all__ = [
    "AUTO",
    "Holder",
    "PortInfo",
    "held_error",
    "holders",
    "is_no_port",
    "is_pty",
    "list_ports",
    "open_error",
    "resolve_port",
]

AUTO = "auto"
"""The port that means: whichever port has one of the board's USB ids."""

_PTY_MASTERS = ("/dev/ptmx", "/dev/pts/ptmx")
_MEMORY_DEVICES = 1
"""Linux's major number of /dev/null, /dev/zero, /dev/urandom."""

_UDEV_RULES = "/etc/udev/rules.d/60-tinyml.rules"


@dataclass(frozen=True)
class PortInfo:
    """A serial port that is plugged in.

    Attributes:
        device: What to open: `/dev/ttyACM0`.
        usb: Vendor and product in lower case hex, `0483:374b`; None where it is no USB device.
    """

    device: str
    usb: str | None
    description: str
    serial_number: str | None

    def __str__(self) -> str:
        facts = [fact for fact in (self.usb, self.description, self.serial_number) if fact and fact != "n/a"]
        return f"{self.device} ({', '.join(facts)})" if facts else self.device


@dataclass(frozen=True)
class Holder:
    """A process that has a port open."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def list_ports() -> tuple[PortInfo, ...]:
    """The ports that are plugged in, by device. PCs also list ports that lead nowhere; those are left out."""
    from serial.tools.list_ports import comports

    found = (
        PortInfo(
            device=port.device,
            usb=f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else None,
            description=port.description or "",
            serial_number=port.serial_number,
        )
        for port in comports()
        if port.hwid != "n/a"
    )
    return tuple(sorted(found, key=lambda port: port.device))


def resolve_port(port: str, usb: Sequence[str] = (), board: str = "") -> str:
    """What to open: the port as it is, or for `auto` the one that has a USB id of the board.

    Args:
        port: A device path, a URL that pyserial knows (`socket://host:port`), or `auto`.
        usb: The board's USB ids.
        board: Its name, for errors.

    Raises:
        TargetError: `auto` fits no port, or several.
    """
    if port != AUTO:
        return port
    plugged_in = list_ports()
    listed = "; ".join(map(str, plugged_in)) or "none"
    if not usb:
        raise TargetError(
            "its board file names no USB ids, so that its port cannot be told from others",
            where=board,
            hint=f"name the port with --port, or add the key usb to the board file; plugged in: {listed}",
        )
    fitting = [found for found in plugged_in if found.usb in usb]
    if not fitting:
        raise TargetError(
            f"no port has one of its USB ids ({', '.join(usb)})",
            where=board,
            hint=f"plug the board in, with a cable that carries data; or name the port with --port. "
            f"Plugged in: {listed}",
        )
    if len(fitting) > 1:
        raise TargetError(
            f"{len(fitting)} ports have its USB ids: {'; '.join(map(str, fitting))}",
            where=board,
            hint="name one of them with --port",
        )
    return fitting[0].device


def is_pty(device: str) -> bool:
    """Whether a device is a pseudo-terminal (Linux): a program is at the other end, and no board."""
    return os.path.realpath(device).startswith("/dev/pts/")


def is_no_port(device: str) -> bool:
    """Whether there is something that cannot be a serial port: a file, a folder, /dev/null and its like."""
    try:
        status = Path(device).stat()
    except OSError:
        return False
    return not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) == _MEMORY_DEVICES


def holders(device: str) -> tuple[Holder, ...]:
    """Other processes that have a device open, as far as this user may see them. Linux; elsewhere none are known.

    Whoever has the other end of a pseudo-terminal is no holder.
    """
    real = os.path.realpath(device)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        opened = _open_files(process)
        if real in opened and process.name != str(os.getpid()) and not (is_pty(device) and _has_pty_master(opened)):
            found.append(Holder(int(process.name), _program(process)))
    return tuple(sorted(found, key=lambda holder: holder.pid))


def open_error(device: str, error: Exception) -> TargetError:
    """Why a port cannot be opened and what to do, from what pyserial or the system raised."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return TargetError("this user may not open it", where=device, hint=_permission_hint(device))
    if number in (errno.EBUSY, errno.EAGAIN):
        return held_error(device, holders(device))
    if number == errno.ENOENT:
        listed = "; ".join(map(str, list_ports())) or "none"
        return TargetError("there is no such port", where=device, hint=f"plug the board in. Plugged in: {listed}")
    if number in (errno.ENXIO, errno.ENODEV, errno.EIO):
        return TargetError("there is no device behind it", where=device, hint="plug the board out and in again")
    if is_no_port(device):
        return TargetError(
            "is no serial port", where=device, hint="`tinyml boards detect` lists the ports that are plugged in"
        )
    return TargetError(
        f"cannot be opened: {error}", where=device, hint="`tinyml doctor --port` goes through it step by step"
    )


def held_error(device: str, by: Sequence[Holder]) -> PortBusyError:
    """The error for a port that another program uses."""
    who = " and ".join(map(str, by)) or "another program"
    end = f"kill {' '.join(str(holder.pid) for holder in by)}" if by else f"fuser -v {device}"
    what = "end that program" if by else "find that program and end it"
    hint = f"{what}, such as with `{end}`, and try again"
    if any("ModemManager" in holder.program for holder in by):
        hint = "ModemManager looks for modems on new ports: wait half a minute, or `sudo systemctl stop ModemManager`"
    return PortBusyError(f"{who} holds the port", where=device, hint=hint)


def _open_files(process: Path) -> set[str]:
    opened = set()
    with suppress(OSError):  # it has ended, or belongs to somebody else
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                opened.add(str(descriptor.readlink()))
    return opened


def _has_pty_master(opened: set[str]) -> bool:
    return any(master in opened for master in _PTY_MASTERS)


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"


def _permission_hint(device: str) -> str:
    """The line that gives this user the port: a group to join, or a udev rule where its group is nobody's."""
    import grp
    import pwd

    try:
        status = Path(device).stat()
        group = grp.getgrgid(status.st_gid)
        user = pwd.getpwuid(os.getuid())
    except (OSError, KeyError):
        return "ask for access to the port's group"
    if group.gr_name == "root" or not status.st_mode & stat.S_IWGRP:
        return (
            f"""run `echo 'SUBSYSTEM=="tty", KERNEL=="{Path(device).name}", MODE="0660", GROUP="dialout"' """
            f"| sudo tee {_UDEV_RULES}`, then `sudo udevadm control --reload` and plug the board out and in"
        )
    if user.pw_name in group.gr_mem and status.st_gid not in os.getgroups():
        return f"{user.pw_name} joined {group.gr_name} since logging in: log out and in, or `newgrp {group.gr_name}`"
    return f"run `sudo usermod -aG {group.gr_name} {user.pw_name}`, then log out and in"
