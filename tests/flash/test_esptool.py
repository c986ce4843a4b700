"""esptool's real flasher, against the boot loader of an ESP32-C3 that is simulated behind a pseudo-terminal."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from support.esp_rom import DEFL_DATA, EspRom
from support.tools import require_tool

from tinyml_sdk.boards import load_board
from tinyml_sdk.boards.model import FlashTool
from tinyml_sdk.errors import FlashError
from tinyml_sdk.flash import flash_image
from tinyml_sdk.simulator import PtyBoard

pytestmark = pytest.mark.slow

OFFSET = 0x1_0000
BOARD = load_board("mps2-an386").model_copy(
    update={"name": "esp32c3", "flash_with": (FlashTool(tool="esptool", chip="esp32c3", offset=OFFSET),)}
)


@contextmanager
def plugged(stream):
    """The stream behind a pseudo-terminal; yields its path."""
    require_tool("esptool")
    pty = PtyBoard(stream)
    ending = threading.Event()
    thread = threading.Thread(target=pty.serve, args=[lambda: not ending.is_set()], daemon=True)
    thread.start()
    try:
        yield pty.path
    finally:
        ending.set()
        thread.join()
        pty.close()


@pytest.fixture
def image(tmp_path):
    """Bytes that compress a little, so that esptool does, and that there are many blocks all the same."""
    file = tmp_path / "app.bin"
    file.write_bytes(bytes(byte & 0x3F for byte in random.Random(0).randbytes(400_000)))
    return file


def test_a_binary_is_written_and_verified(image):
    rom = EspRom()
    shown = []
    with plugged(rom) as port:
        flash_image(BOARD, image, port=port, progress=lambda *step: shown.append(step))
    content = image.read_bytes()
    assert rom.flash[OFFSET : OFFSET + len(content)] == content
    assert DEFL_DATA in rom.commands
    percents = [done for _, done, _ in shown]
    assert percents == sorted(percents)
    assert len(set(percents)) > 5, "esptool's own progress is shown"
    assert percents[-1] == 100


def test_an_elf_becomes_an_image_of_the_chip(tmp_path):
    """Built by zig for RISC-V, linked into the chip's instruction RAM."""
    require_tool("ziglang")
    source = tmp_path / "app.c"
    source.write_text("volatile int runs = 1;\nvoid app_start(void) { for (;;) ++runs; }\n")
    script = tmp_path / "app.ld"
    script.write_text(
        "ENTRY(app_start)\nSECTIONS { .text 0x40380000 : { *(.text*) } .data 0x3fc90000 : { *(.data*) *(.sdata*) } }\n"
    )
    elf = tmp_path / "app.elf"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "riscv32-freestanding-none", "-Os", "-nostdlib"]
    command += ["-mcpu=generic_rv32+m+c", f"-Wl,-T,{script}"]
    subprocess.run([*command, str(source), "-o", str(elf)], check=True, capture_output=True)
    rom = EspRom()
    with plugged(rom) as port:
        flash_image(BOARD, elf, port=port)
    assert rom.flash[OFFSET] == 0xE9, "the magic of an Espressif image"


def test_another_chip_is_named(image):
    with plugged(EspRom(chip_id=9)) as port, pytest.raises(FlashError, match="another chip answers") as caught:
        flash_image(BOARD, image, port=port)
    assert "ESP32-S3" in caught.value.output
    assert "choose the board" in caught.value.hint


def test_a_chip_that_runs_its_firmware_does_not_answer(image):
    class Running(EspRom):
        def write(self, data):
            self._replies += b"I (1234) app: running\r\n"

    with plugged(Running()) as port, pytest.raises(FlashError, match="boot loader does not answer") as caught:
        flash_image(BOARD, image, port=port)
    assert "hold BOOT" in caught.value.hint
