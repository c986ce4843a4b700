"""Renode's files as they are generated, and the target's process handling against a stand-in that is not Renode."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.simulated import DIGITS, firmware

from tinyml_sdk import benchmark, generate, list_boards, load_board
from tinyml_sdk.cli import main
from tinyml_sdk.codegen import renode as renode_codegen
from tinyml_sdk.codegen.renode import renode_platform
from tinyml_sdk.errors import BoardError, MissingToolError, TargetError
from tinyml_sdk.link import Client
from tinyml_sdk.link.frame import Frame, encode_frame
from tinyml_sdk.link.messages import MessageType
from tinyml_sdk.targets import open_target, renode

KNOWN = [board for board in list_boards() if board.emulators.renode]
BOARD = "mps2-an386"

# The descriptions of Renode's repository that board files name, and the peripherals in each that we rely on, as read
# there at commit 06854d4d (August 2026).
RENODE_PLATFORMS = {
    "platforms/boards/stm32f4_discovery.repl": {"cpu", "nvic", "usart1", "usart2"},
    "platforms/cpus/stm32f4.repl": {"cpu", "nvic", "usart1", "usart2"},
    "platforms/boards/nrf52840dk_nrf52840.repl": {"cpu", "nvic", "uart0"},
    "platforms/cpus/riscv_virt.repl": {"cpu", "uart0"},
}
STM32F4_UARTS = {0x4001_1000: "usart1", 0x4000_4400: "usart2"}


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program called renode on the PATH, which is the stand-in."""
    script = tmp_path / "bin" / "renode"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("stand_in_renode.py")} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{Path(sys.executable).parent}:/usr/bin:/bin")
    renode._version.cache_clear()
    yield script
    renode._version.cache_clear()


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("board", KNOWN, ids=lambda board: board.name)
def test_the_platform_is_one_that_renode_has_or_complete(board):
    text = renode_platform(board)
    wanted = board.emulators.renode
    assert (f"dwt: Miscellaneous.DWT @ sysbus 0xE0001000\n    frequency: {board.clock_hz}\n" in text) == (
        board.counter == "dwt"
    )
    assert (f"systickFrequency: {board.clock_hz}" in text) == board.core.startswith("cortex")
    if wanted.platform is not None:
        assert f'using "{wanted.platform}"' in text
        assert wanted.uart in RENODE_PLATFORMS[wanted.platform]
        if "stm32f4" in wanted.platform:
            assert STM32F4_UARTS[board.console.address] == wanted.uart
        return
    entries = dict(re.findall(r"^(\w+): ([\w.]+) @ sysbus", text, re.MULTILINE))
    assert entries == {
        "nvic": "IRQControllers.NVIC",
        "cpu": "CPU.CortexM",
        "flash": "Memory.MappedMemory",
        "ram": "Memory.MappedMemory",
        "uart0": "UART.CMSDK_APB_UART",
        "dwt": "Miscellaneous.DWT",
    }
    for figure in (board.flash.origin, board.ram.origin, board.console.address):
        assert f"sysbus 0x{figure:08X}" in text


@pytest.mark.parametrize("board", KNOWN, ids=lambda board: board.name)
def test_indentation_and_quotes_are_as_renode_wants_them(board):
    """Entries at the margin, attributes four spaces in, no tabs; a blank line ends an entry."""
    for line in renode_platform(board).splitlines():
        assert re.fullmatch(r"(using \".+\"|//.*|\w+:.*|    \w[\w@]*( ->|:) .+|)", line), line


def test_a_project_has_the_three_files(tmp_path):
    for kind, elf in (("baremetal", "build/firmware.elf"), ("cmake", "build/zig/firmware.elf")):
        files = generate(DIGITS, tmp_path / kind, board="nrf52840_dk", project=kind, emulator="renode").files
        assert files["renode/board.repl"] == renode_platform(load_board("nrf52840_dk"))
        script, test = files["renode/digits.resc"], files["renode/digits.robot"]
        assert f"sysbus LoadELF $ORIGIN/../{elf}\n" in script
        assert script.count('"""') == 2
        assert "cpu PerformanceInMips 64\n" in script
        assert "connector Connect uart0 console\n" in script
        assert f"${{CURDIR}}/../{elf}\n" in test
        assert "LoadPlatformDescription @${CURDIR}/board.repl\n" in test
    assert "easyDMA: false" in files["renode/board.repl"]
    risc_v = generate(DIGITS, tmp_path / "r", board="virt-rv32", emulator="renode").files
    assert "cpu PC 0x80000000\n" in risc_v["renode/digits.resc"]
    assert "nvic" not in risc_v["renode/board.repl"]


def test_the_robot_asks_what_the_firmware_answers(tmp_path):
    files = generate(DIGITS, tmp_path / "a", board=BOARD, emulator="renode").files
    request = encode_frame(Frame(1, MessageType.INFO, b""))
    assert request == renode_codegen._INFO_REQUEST
    written = re.findall(r"WriteChar 0x(\w\w)", files["renode/digits.robot"])
    assert bytes.fromhex("".join(written)) == request
    awaited = re.search(r"Wait For Bytes On Uart +([0-9a-f ]+)$", files["renode/digits.robot"], re.MULTILINE)
    assert awaited is not None
    bytes_awaited = bytes.fromhex(awaited[1])
    assert len(bytes_awaited) >= 8
    with open_target("builtin", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        stream = target.open()
        stream.write(request)
        assert bytes_awaited in stream.read(0) + stream.read(0)
    files = generate(DIGITS, tmp_path / "b", board=BOARD, emulator="renode", app="mlperf").files
    assert "Wait For Line On Uart     m-model-[digits]" in files["renode/digits.robot"]


def test_boards_and_projects_that_renode_does_not_know(tmp_path, capsys):
    with pytest.raises(BoardError, match="Renode does not know"):
        generate(DIGITS, tmp_path / "p", board="microbit", emulator="renode")
    with pytest.raises(BoardError, match="no files for Renode in a project of the kind platformio"):
        generate(DIGITS, tmp_path / "p", board="nrf52840_dk", project="platformio", emulator="renode")
    with pytest.raises(BoardError, match="Renode does not know"):
        open_target("renode", load_board("microbit"))
    assert main(["generate", str(DIGITS), "-o", str(tmp_path / "p"), "--emulator", "renode"]) == 2
    assert "--emulator needs --board" in capsys.readouterr().err
    assert main(["generate", str(DIGITS), "-o", str(tmp_path / "p"), "--emulator", "renod", "--board", BOARD]) == 2
    assert "did you mean renode?" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


# -- the target ---------------------------------------------------------------------------------------------------


def test_without_renode(tmp_path, monkeypatch, capsys):
    elf = firmware(BOARD)
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_target("renode", load_board(BOARD)) as target:
        with pytest.raises(TargetError, match="no such firmware"):
            target.load(Path("nothing.elf"))
        with pytest.raises(TargetError, match="no firmware is loaded"):
            target.open()
        with pytest.raises(TargetError, match="not running"):
            target.reset()
        target.load(elf)
        with pytest.raises(MissingToolError, match="renode is not installed"):
            target.open()


@pytest.mark.slow
def test_a_benchmark_with_the_stand_in(stand_in):
    result = benchmark(DIGITS, board=BOARD, target="renode")
    assert result.check.bit_exact
    assert result.target.version == "Renode 0.0.0.stand-in"
    assert result.latency_us is None


@pytest.mark.slow
def test_reset_and_end_of_the_process(stand_in):
    with open_target("renode", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        stream = target.open()
        assert Client(stream).info().board == BOARD
        target.reset()
        assert Client(stream).info().board == BOARD
        process = stream._process
    assert process.returncode == 0, "it was asked to quit"
    target.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "message"), [("ends", "ended with status 3: Could not load the platform"), ("hangs", "opened no console")]
)
def test_a_renode_that_does_not_like_the_script(stand_in, monkeypatch, mode, message):
    monkeypatch.setenv("STAND_IN_FAILS", mode)
    monkeypatch.setattr(renode, "_START_DEADLINE_S", 2.0 if mode == "hangs" else 60.0)
    monkeypatch.setattr(renode, "_QUIT_DEADLINE_S", 0.2)
    with open_target("renode", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        with pytest.raises(TargetError, match=message):
            target.open()


@pytest.mark.slow
def test_a_renode_that_dies(stand_in):
    with open_target("renode", load_board(BOARD)) as target:
        target.load(firmware(BOARD))
        stream = target.open()
        stream._process.kill()
        with pytest.raises(TargetError, match="Renode has ended with status -9"):
            for _ in range(20):
                stream.read(0.0)
                stream.monitor("start")
                stream._process.wait()
