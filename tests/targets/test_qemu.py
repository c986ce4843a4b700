"""What is special about QEMU: a process that may be missing, refuse, die, or stay behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.probe import GREETING, build_probe, running_probe
from support.tools import require_tool

from tinyml_sdk.boards import load_board
from tinyml_sdk.boards.model import Emulators, QemuMachine
from tinyml_sdk.errors import DeviceTimeoutError, MissingToolError, TargetError
from tinyml_sdk.targets import open_target, process, qemu

BOARD = load_board("mps2-an386")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("board", "target"), [("mps2-an386", "builtin"), ("mps3-an547", "qemu")])
def test_the_target_that_nobody_names_is_the_first_that_has_the_board(board: str, target: str) -> None:
    assert open_target(None, load_board(board)).name == target


def test_what_to_install_for_a_board_that_only_qemu_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu.shutil, "which", lambda program: None)
    with pytest.raises(MissingToolError, match="qemu-system-arm is not installed") as caught:
        open_target(None, load_board("mps3-an547")).version()
    assert caught.value.hint == "apt-get install qemu-system-arm"


def test_no_process_stays_behind() -> None:
    with running_probe("qemu", "mps2-an386") as probe:
        process = probe.stream._process
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL
    probe.target.close()


def test_a_stream_that_is_dropped_ends_its_process() -> None:
    require_tool("qemu-system-arm")
    target = open_target("qemu", BOARD)
    target.load(build_probe("mps2-an386"))
    process = target.open()._process
    del target
    assert process.returncode == -signal.SIGKILL


OPENS = """
import sys
from pathlib import Path
from tinyml_sdk import load_board
from tinyml_sdk.targets import open_target

target = open_target("qemu", load_board("mps2-an386"))
target.load(Path(sys.argv[1]))
print(target.open()._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_qemu_ends_with_a_process_that_is_killed(number: signal.Signals) -> None:
    require_tool("qemu-system-arm")
    command = [sys.executable, "-c", OPENS, str(build_probe("mps2-an386"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as user:
        assert user.stdout is not None
        status = Path("/proc") / str(int(user.stdout.readline())) / "stat"
        assert is_running(status)
        user.send_signal(number)
        end = time.monotonic() + 60
        while is_running(status) and time.monotonic() < end:
            time.sleep(0.01)
    assert not is_running(status)


def is_running(status: Path) -> bool:
    """Whether the process of `/proc/PID/stat` is there, and not only kept for its exit code (proc_pid_stat(5))."""
    try:
        return status.read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_open_and_load_again() -> None:
    with running_probe("qemu", "mps2-an386") as probe:
        first = probe.stream._process
        stream = probe.target.open()
        assert first.returncode is not None
        assert stream.read(time.monotonic() + 60)
        probe.target.load(build_probe("mps2-an386"))
        with pytest.raises(TargetError, match="not running"):
            probe.target.reset()


def test_qemu_dies_while_it_is_used() -> None:
    with running_probe("qemu", "mps2-an386") as probe:
        os.kill(probe.stream._process.pid, signal.SIGKILL)
        with pytest.raises(TargetError, match="QEMU has ended with status -9: no message"):
            probe.stream.read(time.monotonic() + 10)
        with pytest.raises(TargetError, match="QEMU has ended"):
            probe.target.reset()


def test_a_machine_that_qemu_does_not_have_is_reported_in_its_words() -> None:
    require_tool("qemu-system-arm")
    board = BOARD.model_copy(update={"emulators": Emulators(qemu=QemuMachine(machine="no-such-machine"))})
    with open_target("qemu", board) as target:
        target.load(build_probe("mps2-an386"))
        with pytest.raises(TargetError, match=r"QEMU has ended with status 1: .*machine"):
            target.open()


def test_a_file_that_is_not_there() -> None:
    with open_target("qemu", BOARD) as target:
        with pytest.raises(TargetError, match="no such firmware"):
            target.load(Path("nothing.elf"))
        with pytest.raises(TargetError, match="no firmware is loaded"):
            target.open()


def test_a_firmware_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_WRITE_DEADLINE_S", 0.3)
    with running_probe("qemu", "mps2-an386") as probe:
        probe.stream.write(b"H")
        with pytest.raises(DeviceTimeoutError, match="read nothing"):
            probe.stream.write(bytes(4_000_000))


def test_a_reset_drops_what_the_board_had_said() -> None:
    with running_probe("qemu", "mps2-an386") as probe:
        for _ in range(20):
            probe.stream.write(b"E\x80" + bytes(128))
        assert probe.read(1)[:1] == b"\0"
        probe.target.reset()  # while it goes on to answer
        # What it had not read yet waits in the socket, so more may follow: the rest of a request is no command.
        assert probe.read(len(GREETING))[: len(GREETING)] == GREETING


def test_ticks_are_nanoseconds_and_so_instructions() -> None:
    target = open_target("qemu", BOARD)
    info = SimpleNamespace(counter_hz=168_000_000)
    assert target.counts == "instructions"
    assert target.count(168, info) == 1000
    assert target.resolution(info) == pytest.approx(5.952, abs=1e-3)
    with pytest.raises(TargetError, match="no counter"):
        target.count(1, SimpleNamespace(counter_hz=0))


def test_without_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elf = build_probe("mps2-an386")
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_target("qemu", BOARD) as target:
        target.load(elf)
        with pytest.raises(MissingToolError, match="qemu-system-arm is not installed"):
            target.open()
