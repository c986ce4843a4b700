"""A firmware in the formats that flash tools and boot loaders take."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..errors import InputError

__all__ = ["FlashImage", "intel_hex", "read_flash_image", "uf2"]

_ERASED = b"\xff"
_MOST_BYTES = 64 << 20

_UF2_MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_UF2_HAS_FAMILY = 0x2000
_UF2_PAYLOAD = 256


@dataclass(frozen=True)
class FlashImage:
    """Bytes and the address of the first."""

    origin: int
    data: bytes


def read_flash_image(path: Path, offset: int) -> FlashImage:
    """What goes into flash: the loaded segments of an ELF in one piece, gaps erased; or a .bin as it is, at `offset`.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"\x7fELF":
                return _joined(path, ELFFile(stream))
            stream.seek(0)
            data = stream.read(_MOST_BYTES)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), hint="build it first") from error
    except ELFError as error:
        raise InputError(f"not an ELF file: {error}", where=str(path), hint="build it again") from error
    if path.suffix.lower() != ".bin" or not data:
        raise InputError(
            "is neither an ELF nor a .bin", where=str(path), hint="give the firmware.elf of `tinyml build`"
        )
    return FlashImage(offset, data)


def _joined(path: Path, elf: ELFFile) -> FlashImage:
    pieces = sorted(
        (segment["p_paddr"], segment.data()) for segment in elf.iter_segments("PT_LOAD") if segment["p_filesz"]
    )
    if not pieces:
        raise InputError("has nothing to load", where=str(path), hint="link it with a linker script; build it again")
    origin = pieces[0][0]
    end = max(address + len(content) for address, content in pieces)
    if end - origin > _MOST_BYTES:
        raise InputError(
            f"loads from {origin:#x} to {end:#x}",
            where=str(path),
            hint="it was not linked for one flash: build it again",
        )
    data = bytearray(_ERASED * (end - origin))
    for address, content in pieces:
        data[address - origin : address - origin + len(content)] = content
    return FlashImage(origin, bytes(data))


def intel_hex(image: FlashImage) -> str:
    """The image in Intel's hexadecimal object file format (revision A, 1988), 16 bytes a line."""
    lines = []
    upper = -1
    for start in range(0, len(image.data), 16):
        address = image.origin + start
        if address >> 16 != upper:
            upper = address >> 16
            lines.append(_hex_record(0, 4, struct.pack(">H", upper)))
        # Origins are multiples of 8, so a line never crosses into the next 64 KiB unless it is cut.
        room = min(16, 0x10000 - (address & 0xFFFF))
        chunk = image.data[start : start + 16]
        lines.append(_hex_record(address & 0xFFFF, 0, chunk[:room]))
        if len(chunk) > room:
            upper += 1
            lines += [_hex_record(0, 4, struct.pack(">H", upper)), _hex_record(0, 0, chunk[room:])]
    return "\n".join([*lines, ":00000001FF", ""])


def _hex_record(address: int, kind: int, data: bytes) -> str:
    record = struct.pack(">BHB", len(data), address, kind) + data
    return f":{record.hex().upper()}{-sum(record) & 0xFF:02X}"


def uf2(image: FlashImage, family: int) -> bytes:
    """The image as UF2 (github.com/microsoft/uf2): blocks of 512 bytes with 256 of payload, the last one padded."""
    return b"".join(_uf2_blocks(image, family))


def _uf2_blocks(image: FlashImage, family: int) -> Iterator[bytes]:
    count = -(-len(image.data) // _UF2_PAYLOAD)
    for number in range(count):
        start = number * _UF2_PAYLOAD
        payload = image.data[start : start + _UF2_PAYLOAD].ljust(_UF2_PAYLOAD, _ERASED)
        head = struct.pack(
            "<8I",
            *_UF2_MAGIC[:2],
            _UF2_HAS_FAMILY,
            image.origin + start,
            _UF2_PAYLOAD,
            number,
            count,
            family,
        )
        yield head + payload.ljust(476, b"\0") + struct.pack("<I", _UF2_MAGIC[2])
