"""Firmware as plain binary, Intel HEX and UF2, and the drive that takes the latter."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulated import firmware

from tinyml_sdk.boards import load_board
from tinyml_sdk.boards.model import FlashTool
from tinyml_sdk.errors import FlashError, InputError
from tinyml_sdk.flash import FlashImage, drive, flash_image, intel_hex, read_flash_image, uf2
from tinyml_sdk.targets.builtin.image import read_image

PICO = load_board("netduinoplus2").model_copy(
    update={"flash_with": (FlashTool(tool="uf2", volume="RPI-RP2", family=0xE48BFF56),)}
)

images = st.builds(
    FlashImage,
    st.integers(0, 2**29 - 1).map(lambda word: 8 * word) | st.sampled_from([0xFFF8, 0x1FFF8, 0x0800_0000]),
    st.binary(min_size=1, max_size=1000),
).filter(lambda image: image.origin + len(image.data) <= 2**32)


def read_hex(text):
    """Address to byte, checking every checksum."""
    found, upper = {}, 0
    lines = text.splitlines()
    assert lines[-1] == ":00000001FF"
    for line in lines[:-1]:
        record = bytes.fromhex(line[1:])
        assert sum(record) % 256 == 0
        count, address, kind = struct.unpack(">BHB", record[:4])
        data = record[4:-1]
        assert len(data) == count
        if kind == 4:
            upper = int.from_bytes(data, "big") << 16
        else:
            assert kind == 0
            assert address + count <= 0x10000
            for offset, byte in enumerate(data):
                assert upper + address + offset not in found
                found[upper + address + offset] = byte
    return found


@given(images)
def test_intel_hex_holds_every_byte_once(image):
    assert read_hex(intel_hex(image)) == {image.origin + i: byte for i, byte in enumerate(image.data)}


@given(images, st.integers(0, 2**32 - 1))
def test_uf2_holds_every_byte(image, family):
    blocks = uf2(image, family)
    count = len(blocks) // 512
    assert len(blocks) == 512 * count
    content = b""
    for number in range(count):
        block = blocks[512 * number : 512 * (number + 1)]
        *magic, flags, address, size, index, total, kind = struct.unpack("<8I", block[:32])
        assert (magic, flags, size, index, total, kind) == (
            [0x0A324655, 0x9E5D5157],
            0x2000,
            256,
            number,
            count,
            family,
        )
        assert address == image.origin + len(content)
        assert block[508:] == struct.pack("<I", 0x0AB16F30)
        content += block[32:288]
    assert content.rstrip(b"\xff") == image.data.rstrip(b"\xff")


@pytest.mark.parametrize("board", ["mps2-an386", "netduinoplus2"])
def test_an_elf_is_what_a_programmer_writes(board):
    elf = firmware(board)
    image = read_flash_image(elf, 0)
    assert image.origin == load_board(board).flash.origin
    for address, content in read_image(elf).segments:
        assert image.data[address - image.origin :][: len(content)] == content


def test_what_is_no_image(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_flash_image(Path("nothing.elf"), 0)
    for name, content, message in (
        ("a.elf", b"\x7fELF", "not an ELF file"),
        ("a.txt", b"text", "neither an ELF nor a .bin"),
        ("a.bin", b"", "neither an ELF nor a .bin"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_flash_image(tmp_path / name, 0)
    (tmp_path / "b.bin").write_bytes(b"raw")
    assert read_flash_image(tmp_path / "b.bin", 0x1000) == FlashImage(0x1000, b"raw")


def test_the_drive_of_a_boot_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "mount_folders", lambda: (tmp_path / "none", tmp_path))
    elf = firmware("netduinoplus2")
    with pytest.raises(FlashError, match="no drive RPI-RP2 is mounted") as caught:
        flash_image(PICO, elf)
    assert "BOOTSEL" in caught.value.hint
    volume = tmp_path / "RPI-RP2"
    volume.mkdir()
    with pytest.raises(FlashError):  # a folder that is no boot loader's drive
        flash_image(PICO, elf)
    (volume / "INFO_UF2.TXT").touch()
    shown = []
    assert flash_image(PICO, elf, progress=lambda *step: shown.append(step)) == "uf2"
    assert (volume / "firmware.uf2").read_bytes() == uf2(read_flash_image(elf, 0), 0xE48BFF56)
    assert shown[-1][1] == shown[-1][2]
    assert (Path("/media"),) != drive.mount_folders()
