"""The builtin emulator: exact counts at any place, determinism, and faults that say where."""

import gc
import os
import re
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from support.probe import GREETING, Probe, build_probe, running_probe
from support.tools import require_tool

from tinyml_sdk.boards import load_board
from tinyml_sdk.errors import BoardError, InputError, MissingToolError, TargetError
from tinyml_sdk.targets import list_targets, open_target
from tinyml_sdk.targets.builtin import counting, machine
from tinyml_sdk.targets.builtin.counting import NativeCounter, PythonCounter
from tinyml_sdk.targets.builtin.image import read_image
from tinyml_sdk.targets.builtin.machine import Machine, processor_type

CORTEX_M3_UP = ("mps2-an385", "mps2-an386", "mps2-an500", "netduinoplus2")
BOARDS = (*CORTEX_M3_UP, "microbit", "virt-rv32")

EXTRA = {"microbit": b"", "virt-rv32": b"N"}
"""Commands that read the counter within a block, where the core is not a Cortex-M3 or better."""

SESSION = b"".join((b"X", b"L" + struct.pack("<I", 5000), b"E\x05hello", b"C"))


@pytest.fixture
def probe() -> Iterator[Probe]:
    with running_probe("builtin", "mps2-an386") as running:
        yield running


@pytest.fixture(params=["native", "python"])
def counter_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(machine, "make_counter", PythonCounter)
    return str(request.param)


def new_machine(board: str) -> Machine:
    require_tool("unicorn")
    chosen = load_board(board)
    return Machine(chosen, read_image(build_probe(board), processor_type(chosen).elf_machine))


@pytest.mark.parametrize("board", CORTEX_M3_UP)
def test_counter_reads_within_a_block_are_exact(board: str, counter_kind: str) -> None:
    with running_probe("builtin", board) as probe:
        assert probe.target._console.machine.counter.kind == counter_kind
        assert probe.ask(b"N", 2) == (7, 1)
        assert probe.ask(b"I", 2) == (4, 2)
        assert probe.loop("D", 900) - probe.loop("D", 100) == 1600


def test_the_counters_of_a_risc_v_core_count_instructions(counter_kind: str) -> None:
    with running_probe("builtin", "virt-rv32") as probe:
        assert probe.target._console.machine.counter.kind == counter_kind
        assert probe.ask(b"N", 2) == (4, 1)
        assert probe.loop("L", 900) - probe.loop("L", 100) == 1600


@pytest.mark.parametrize("board", BOARDS)
def test_stopping_before_every_block_changes_nothing(board: str) -> None:
    session = b"".join((b"E\x05hello", b"L" + struct.pack("<I", 500), EXTRA.get(board, b"IND\x20\0\0\0")))
    outcomes = []
    for instructions in (1, 7, 1_000_000_000):
        board_machine = new_machine(board)
        for text in (b"", session):
            board_machine.received.extend(text)
            while not board_machine.run(instructions):
                pass
        outcomes.append((board_machine.instructions, bytes(board_machine.sent)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_both_ways_to_count_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for make in (counting.make_counter, PythonCounter):
        monkeypatch.setattr(machine, "make_counter", make)
        board_machine = new_machine("microbit")
        board_machine.received.extend(SESSION)
        board_machine.run(100_000_000)
        outcomes.append((board_machine.instructions, bytes(board_machine.sent)))
    assert outcomes[0] == outcomes[1]


def test_a_run_stops_at_the_block_that_reaches_the_limit() -> None:
    board_machine = new_machine("mps2-an386")
    board_machine.received.extend(b"H")
    board_machine.run(1_000_000)
    before = board_machine.instructions
    assert not board_machine.run(12_345)
    assert 12_345 <= board_machine.instructions - before < 12_345 + 100


def test_a_session_is_the_same_however_slow_the_host_is() -> None:
    counts = []
    for pause in (0.0, 0.01):
        with running_probe("builtin", "mps2-an386") as probe:
            for byte in SESSION:
                probe.stream.write(bytes([byte]))
                time.sleep(pause)
            probe.read(4 + 4 + 5 + 4)
            counts.append(probe.target.instructions)
    assert counts[0] == counts[1]


def test_read_returns_at_once_when_the_firmware_waits(probe: Probe) -> None:
    start = time.monotonic()
    for _ in range(10):
        assert probe.stream.read(start + 60) == b""
    assert time.monotonic() - start < 60


def test_without_a_compiler_python_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(counting.HostToolchain, "_find", lambda _self: None)
    assert isinstance(new_machine("mps2-an386").counter, PythonCounter)


def test_the_native_counter_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool("cc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert isinstance(new_machine("mps2-an386").counter, NativeCounter)
        monkeypatch.setattr(counting.HostToolchain, "build", lambda *_: pytest.fail("compiled again"))
    assert [path.suffix for path in (tmp_path / "tinyml-sdk" / "emulator").iterdir()] == [".so"]


FAULTS = (
    (b"F", r"read memory at 0x30000004, where there is none, at 0x[0-9a-f]{8} \((fail|answer|main)\+0x"),
    (b"P", r"wrote to flash at 0x00000000, at 0x[0-9a-f]{8} \("),
    (b"J", r"jumped to code at 0x30000000, where there is none"),
    (b"B", r"met a breakpoint \(bkpt\), at"),
    (b"U", r"undefined|[Ii]nvalid instruction"),
    (b"S", r"wrote memory at 0x1[0-9a-f]{7}, where there is none, at 0x[0-9a-f]{8} \(overflow"),
    (b"Y", r"SysTick interrupt, and the builtin emulator has no interrupts"),
)


@pytest.mark.parametrize(("command", "message"), FAULTS, ids=lambda value: value[:1])
def test_a_fault_says_what_and_where_and_a_reset_helps(
    command: bytes, message: str, counter_kind: str, probe: Probe
) -> None:
    probe.stream.write(command)
    with pytest.raises(TargetError, match=message) as caught:
        probe.read(1)
    assert caught.value.hint
    assert ("stack has run over" in caught.value.hint) == (command == b"S")
    probe.target.reset()
    assert probe.read(len(GREETING)) == GREETING
    assert probe.loop("L", 10) == probe.loop("L", 10)


RISC_V_FAULTS = (
    (b"F", r"read memory at 0x30000004, where there is none, at 0x8[0-9a-f]{7} \("),
    (b"P", r"wrote to flash at 0x80000000, at 0x8[0-9a-f]{7} \("),
    (b"J", r"jumped to code at 0x30000000, where there is none"),
    (b"B", r"breakpoint|Invalid instruction"),  # unicorn's word for it
    (b"U", r"illegal instruction"),
)


@pytest.mark.parametrize(("command", "message"), RISC_V_FAULTS, ids=lambda value: value[:1])
def test_a_fault_of_a_risc_v_core(command: bytes, message: str) -> None:
    with running_probe("builtin", "virt-rv32") as probe:
        probe.stream.write(command)
        with pytest.raises(TargetError, match=message) as caught:
            probe.read(1)
        assert caught.value.hint
        probe.target.reset()
        assert probe.read(len(GREETING)) == GREETING


@pytest.fixture
def alarms_raise() -> Iterator[list[int]]:
    """SIGALRM acts as Ctrl-C does, and a timer sends it at any moment; what arrived.

    A thread would have to wait for the interpreter, and so would only ever interrupt it at the same places. No garbage
    is collected meanwhile: the finalizer of some other test's engine would lose what is raised in it.
    """
    arrived: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        arrived.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()
    yield arrived
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_of_the_host_leaves_the_target_usable(probe: Probe, alarms_raise: list[int]) -> None:
    for command in (b"H", b""):  # while it computes; while it polls
        probe.stream.write(command)
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            while True:
                probe.read(1, seconds=60)
        probe.target.reset()
        assert probe.read(len(GREETING)) == GREETING


@pytest.mark.parametrize("board", ["mps2-an386", "virt-rv32"])
def test_interrupts_among_callbacks_are_neither_lost_nor_felt(
    board: str, counter_kind: str, alarms_raise: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty, while the firmware accesses its console all the time: each byte takes a few callbacks."""
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    smooth, interrupted = new_machine(board), new_machine(board)
    random, caught = Random(0), 0
    while caught < 50:
        if len(interrupted.received) < 2_000:  # a byte takes more than ten instructions
            for board_machine in (smooth, interrupted):
                board_machine.received.extend((b"E\xff" + bytes(range(255))) * 20)
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3))
            interrupted.run(10_000)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            caught += 1
            interrupted.run(100)  # where even to begin takes longer than that
    for board_machine in (smooth, interrupted):
        while not board_machine.run(10_000):
            pass
    assert caught == len(alarms_raise)
    assert not complaints
    assert interrupted.sent == smooth.sent
    assert interrupted.instructions == smooth.instructions


def test_a_handler_that_takes_note_ends_a_run_and_no_more(probe: Probe) -> None:
    seen: list[int] = []

    def take_note(number: int, _frame: object) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGINT, take_note)
    try:
        probe.stream.write(b"H")
        timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        assert probe.read(1, seconds=0.3) == b""
        timer.join()
        assert seen == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is take_note
    finally:
        signal.signal(signal.SIGINT, before)


def test_ticks_are_instructions(probe: Probe) -> None:
    info = SimpleNamespace(counter_hz=16_000_000)
    assert probe.target.counts == "instructions"
    assert probe.target.count(12345, info) == 12345
    assert probe.target.resolution(info) == 1.0
    assert re.match(r"unicorn 2\.", probe.target.version())


def wrong_machine(data: bytearray) -> None:
    data[18] = 62  # e_machine: x86-64


def elsewhere(data: bytearray) -> None:
    header = struct.unpack_from("<I", data, 28)[0]
    struct.pack_into("<I", data, header + 12, 0x7000_0000)  # p_paddr of the first segment


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.__delitem__(slice(0, None)), "not an ELF"),
        (lambda data: data.__delitem__(slice(40, None)), "not an ELF|cannot"),
        (wrong_machine, "not a firmware for"),
        (elsewhere, "outside the flash and RAM of mps2-an386"),
    ],
)
def test_a_file_that_cannot_run(damage: Callable[[bytearray], None], message: str, tmp_path: Path) -> None:
    require_tool("unicorn")
    data = bytearray(build_probe("mps2-an386").read_bytes())
    damage(data)
    (tmp_path / "bad.elf").write_bytes(data)
    with open_target("builtin", load_board("mps2-an386")) as target, pytest.raises(TargetError, match=message):
        target.load(tmp_path / "bad.elf")


def test_calls_out_of_order() -> None:
    require_tool("unicorn")
    target = open_target("builtin", load_board("mps2-an386"))
    with pytest.raises(TargetError, match="cannot be read"):
        target.load(Path("nothing.elf"))
    with pytest.raises(TargetError, match="no firmware is loaded"):
        target.open()
    with pytest.raises(TargetError, match="not running"):
        target.reset()
    target.close()
    target.close()


def test_a_board_or_target_that_does_not_exist() -> None:
    board = load_board("mps2-an386")
    assert list_targets() == ("builtin", "qemu", "renode")
    with pytest.raises(InputError, match="no target 'bochs'"):
        open_target("bochs", board)
    nowhere = board.model_copy(update={"emulators": type(board.emulators)()})
    for name in list_targets():
        with pytest.raises(BoardError):
            open_target(name, nowhere)


def test_without_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "unicorn", None)
    with pytest.raises(MissingToolError) as caught:
        open_target("builtin", load_board("mps2-an386"))
    assert "tinyml-sdk[emulator]" in caught.value.hint


def test_recorded_blocks_are_what_was_executed(counter_kind: str) -> None:
    """Between two readings of the counter: every instruction in some block, and a loop's branch as often as taken."""
    with running_probe("builtin", "mps2-an386") as probe:
        probe.loop("D", 5)  # not recorded
        ticks, intervals = probe.target.record(lambda: probe.loop("D", 100))
        instructions = [
            sum(block.entered * (len(block.code) // 2) for block in interval) for interval in intervals if interval
        ]
        assert any(count >= ticks for count in instructions)
        assert any(block.entered in (99, 100) and block.left == block.entered - 1 for block in intervals[0])
        assert probe.target.record(lambda: None) == (None, ())
