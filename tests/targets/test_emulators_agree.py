"""The same ELF in the builtin emulator and in QEMU: same answers, and counts that agree to within QEMU's tick."""

import fcntl
import termios
import time
from typing import Any

import pytest
from support.probe import GREETING, Probe, running_probe

BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500", "netduinoplus2", "microbit", "virt-rv32")
CLOCK_HZ = {
    "mps2-an385": 25e6,
    "mps2-an386": 25e6,
    "mps2-an500": 25e6,
    "netduinoplus2": 168e6,
    "microbit": 16e6,
    "virt-rv32": 1e9,
}

QUICK = ("mps2-an386", "microbit", "virt-rv32")
"""One with DSP instructions, one of the smallest, one that is no Arm; the fast suite leaves the others out."""


def of(board: str, *others: str) -> Any:
    marks = () if board in QUICK else pytest.mark.slow
    return pytest.param((board, *others), id="-".join((board, *others)), marks=marks)


@pytest.fixture(params=[of(board, target) for target in ("builtin", "qemu") for board in BOARDS])
def probe(request: pytest.FixtureRequest) -> Probe:
    board, target = request.param
    with running_probe(target, board) as running:
        yield running


def test_every_byte_value_passes_both_ways(probe: Probe) -> None:
    for first in (0, 128):
        data = bytes(range(first, first + 128))
        assert probe.echo(data) == data


def test_many_bytes_wait_until_they_are_taken(probe: Probe) -> None:
    data = bytes(range(250))
    probe.stream.write((b"E\xfa" + data) * 8)
    assert probe.read(250 * 8) == data * 8


def test_arithmetic_is_the_same_everywhere(probe: Probe) -> None:
    assert probe.ask(b"X") == (0x86E4D73C,)


def test_the_firmware_can_reset_itself_and_ram_survives(probe: Probe) -> None:
    assert probe.ask(b"C") == (1,)
    probe.stream.write(b"R")
    assert probe.read(len(GREETING)) == GREETING
    assert probe.ask(b"C") == (3,)


def test_a_reset_from_outside_starts_anew_and_ram_survives(probe: Probe) -> None:
    probe.stream.write(b"H")
    wait_until_taken(probe)
    assert probe.read(1, seconds=0.2) == b""
    probe.target.reset()
    assert probe.read(len(GREETING)) == GREETING
    assert probe.ask(b"C") == (2,)


def wait_until_taken(probe: Probe) -> None:
    """Until QEMU has read what was written, which may take a busy machine longer than the reset that comes next."""
    console = getattr(probe.stream, "console", None)
    end = time.monotonic() + 60
    while console is not None and fcntl.ioctl(console, termios.TIOCOUTQ, bytes(4)) != bytes(4):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_firmware_that_hangs_costs_no_more_than_the_deadline(probe: Probe) -> None:
    probe.stream.write(b"H")
    assert probe.read(1, seconds=0.3) == b""


def test_wfi_does_not_hang(probe: Probe) -> None:
    """QEMU wakes up or does not; either way nothing is sent, and the deadline holds."""
    probe.stream.write(b"W")
    assert probe.read(1, seconds=0.2) == b""


@pytest.mark.parametrize(
    "built",
    [of(board, "zig") for board in BOARDS] + [of(board, "gnu_arm") for board in BOARDS if board != "virt-rv32"],
)
def test_counts_agree(built: tuple[str, str]) -> None:
    board, toolchain = built
    turns = (0x10, 1000, 4321, 123_456, 1_000_000)
    instructions_per_tick = 1e9 / CLOCK_HZ[board]
    with running_probe("builtin", board, toolchain) as builtin, running_probe("qemu", board, toolchain) as qemu:
        for counter in ("L", "T") if board == "microbit" else ("L",):
            exact = [builtin.loop(counter, n) for n in turns]
            # A loop of n turns is 2 n instructions, and what is around it is always the same.
            assert len({count - 2 * n for count, n in zip(exact, turns, strict=True)}) == 1
            for count, n in zip(exact, turns, strict=True):
                ticks = qemu.loop(counter, n)
                assert abs(ticks * instructions_per_tick - count) <= instructions_per_tick + 1
