"""The probe firmware of tests/targets/probe: built for any board, and spoken to."""

import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from support.tools import TOOLCHAIN_TOOLS, emulator_tool, require_tool

from tinyml_sdk.boards import load_board
from tinyml_sdk.link.stream import ByteStream
from tinyml_sdk.targets import Target, open_target
from tinyml_sdk.toolchains import BuildJob, get_toolchain

SOURCE = Path(__file__).resolve().parents[1] / "targets" / "probe"
GREETING = b"ready\n"

_FOLDER = tempfile.TemporaryDirectory()


def write_project(root: Path, board_name: str) -> None:
    """probe.c and a linker script for the board."""
    board = load_board(board_name)
    script = (SOURCE / "probe.ld").read_text()
    for key, region in (("FLASH", board.flash), ("RAM", board.ram)):
        script = script.replace(f"@{key}_ORIGIN@", hex(region.origin)).replace(f"@{key}_SIZE@", hex(region.size))
    root.mkdir(parents=True, exist_ok=True)
    (root / "probe.ld").write_text(script)
    (root / "probe.c").write_text((SOURCE / "probe.c").read_text())


def probe_job(root: Path, board_name: str, optimize: str = "speed") -> BuildJob:
    board = load_board(board_name)
    return BuildJob(
        root=root,
        sources=("probe.c",),
        include_dirs=(".",),
        linker_script="probe.ld",
        board=board,
        optimize=optimize,
        output=root / "build" / "probe.elf",
        defines=(f"CONSOLE_ADDRESS={board.console.address:#x}u", f"CONSOLE_{board.console.driver.upper()}"),
    )


@cache
def build_probe(board_name: str, toolchain: str = "zig") -> Path:
    """The firmware for a board, built once in a session."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    root = Path(_FOLDER.name) / f"{board_name}-{toolchain}"
    write_project(root, board_name)
    return get_toolchain(toolchain).build(probe_job(root, board_name)).elf


class Probe:
    """What the probe firmware can be asked."""

    def __init__(self, target: Target, stream: ByteStream, is_riscv: bool) -> None:
        self.target = target
        self.stream = stream
        self.is_riscv = is_riscv

    def read(self, size: int, seconds: float = 60.0) -> bytes:
        """So many bytes, or what came until the deadline."""
        deadline = time.monotonic() + seconds
        data = b""
        while len(data) < size and time.monotonic() < deadline:
            data += self.stream.read(deadline)
        return data

    def ask(self, command: bytes, words: int = 1) -> tuple[int, ...]:
        """Send a command and return the words it answers."""
        self.stream.write(command)
        answer = self.read(4 * words)
        assert len(answer) == 4 * words, (command, answer)
        return struct.unpack(f"<{words}I", answer)

    def loop(self, counter: str, turns: int) -> int:
        """Ticks of a counter around a loop of 2 * turns instructions."""
        (ticks,) = self.ask(counter.encode() + struct.pack("<I", turns))
        # SysTick has 24 bits.
        return ticks & 0xFFFFFF if counter == "L" and not self.is_riscv else ticks

    def echo(self, data: bytes) -> bytes:
        self.stream.write(b"E" + bytes([len(data)]) + data)
        return self.read(len(data))


@contextmanager
def running_probe(target_name: str, board_name: str, toolchain: str = "zig") -> Iterator[Probe]:
    """The probe firmware on a target, its greeting read."""
    board = load_board(board_name)
    require_tool(emulator_tool(target_name, board))
    elf = build_probe(board_name, toolchain)
    with open_target(target_name, board) as target:
        target.load(elf)
        probe = Probe(target, target.open(), board.core_spec.isa.startswith("rv32"))
        assert probe.read(len(GREETING)) == GREETING
        yield probe
