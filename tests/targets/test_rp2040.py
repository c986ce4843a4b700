"""The RP2040's own: a second boot stage with a checksum, and cycles counted without an interrupt."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest
from support.simulated import firmware
from support.tools import require_tool

from tinyml_sdk.boards import load_board
from tinyml_sdk.errors import TargetError
from tinyml_sdk.link import Client
from tinyml_sdk.resources import templates_dir
from tinyml_sdk.targets import open_target
from tinyml_sdk.targets.builtin.rp2040 import boot_stage_2

PORT = templates_dir() / "ports" / "rp2040"


def boot2_bytes() -> bytes:
    """The array of boot2.c."""
    text = (PORT / "boot2.c").read_text()
    words = [int(word, 16) for word in re.findall(r"0x([0-9A-F]{8})u", text)]
    return struct.pack(f"<{len(words) - 1}I", *words[:-1]).ljust(252, b"\0") + struct.pack("<I", words[-1])


def test_the_bytes_are_the_assembler(tmp_path: Path) -> None:
    require_tool("arm-none-eabi-gcc")
    assembled, plain = tmp_path / "boot2.o", tmp_path / "boot2.bin"
    for command in (
        ["arm-none-eabi-gcc", "-c", PORT / "boot2.S", "-o", assembled],
        ["arm-none-eabi-objcopy", "-O", "binary", "-j", ".text", assembled, plain],
    ):
        subprocess.run(command, check=True)
    assert plain.read_bytes().ljust(252, b"\0") == boot2_bytes()[:252]


def test_the_checksum_is_that_of_the_boot_rom() -> None:
    """As Raspberry Pi's pico-sdk computes it (boot_stage2/pad_checksum): zlib's CRC on reversed bits."""
    import binascii

    def reverse(value: int, bits: int) -> int:
        return int(f"{value:0{bits}b}"[::-1], 2)

    stage = boot2_bytes()
    assert len(stage) == 256
    reversed_bytes = bytes(reverse(byte, 8) for byte in stage[:252])
    crc = reverse(binascii.crc32(reversed_bytes, 0) ^ 0xFFFF_FFFF, 32)
    assert stage[252:] == struct.pack("<I", crc)
    assert boot_stage_2(stage, "") == stage[:252]
    with pytest.raises(TargetError, match="checksum"):
        boot_stage_2(b"\0" + stage[1:], "firmware.elf")


@pytest.mark.slow
def test_it_lies_at_the_start_of_the_flash_and_the_vectors_behind_it() -> None:
    with open_target("builtin", load_board("pico")) as target:
        target.load(firmware("pico"))
        image = target._image
        address, content = min(image.segments)
        assert address == 0x1000_0000
        assert content[:256] == boot2_bytes()
        assert struct.unpack("<I", content[256:260])[0] == 0x2004_2000, "the stack begins at the end of the RAM"


@pytest.mark.slow
def test_cycles_are_counted_over_turns_of_systick() -> None:
    """SysTick turns every 2^24 cycles; the timer tells how often."""
    with open_target("builtin", load_board("pico")) as target:
        target.load(firmware("pico"))
        console = target.open()
        client = Client(console)
        info = client.info()
        assert (info.counter_hz, info.clock_hz) == (133_000_000, 133_000_000)
        before = console.machine.instructions
        counts = client.invoke(256)
        executed = console.machine.instructions - before
    assert sum(counts) > 2 * 2**24
    assert sum(counts) == pytest.approx(executed, rel=0.02), "the rest is the protocol"
    assert max(counts) - min(counts) < 0.02 * min(counts)
