"""The boot loader in the ROM of an Espressif chip, as far as esptool's real flasher talks to it.

Espressif, "Serial Protocol" (esptool documentation): SLIP packets, requests of `<BBHI` direction, command, size and
checksum. The flasher stub that esptool uploads is accepted and then played too, as nothing here runs its code.
"""

from __future__ import annotations

import hashlib
import struct
import time
import zlib

END, ESCAPE = 0xC0, 0xDB
_UNESCAPE = {0xDC: END, 0xDD: ESCAPE}

SYNC, READ_REG, MEM_END, CHANGE_BAUD, SECURITY_INFO = 0x08, 0x0A, 0x06, 0x0F, 0x14
FLASH_BEGIN, FLASH_DATA, DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5 = 0x02, 0x03, 0x10, 0x11, 0x12, 0x13

FLASH_ID_4_MB = 0x164020
SPI_W0 = 0x6000_2058
"""Of the ESP32-C3: where the answer to a command to the flash chip is read."""

FLASH_BYTES = 4 << 20


class EspRom:
    """A byte stream that behaves as an ESP32-C3 in download mode.

    Args:
        chip_id: What it claims to be: 5 is the ESP32-C3, 9 the ESP32-S3.

    Attributes:
        flash: What has been written.
        commands: The requests that came, by number.
    """

    def __init__(self, chip_id: int = 5) -> None:
        self.flash = bytearray(b"\xff" * FLASH_BYTES)
        self.commands: list[int] = []
        self._chip_id = chip_id
        self._in_stub = False
        self._packet = bytearray()
        self._replies = bytearray()
        self._at = 0
        self._inflate = zlib.decompressobj()

    def write(self, data: bytes) -> None:
        for byte in data:
            if byte == END:
                if self._packet:
                    self._handle(bytes(_unescaped(self._packet)))
                self._packet.clear()
            else:
                self._packet.append(byte)

    def read(self, deadline: float) -> bytes:
        if not self._replies:
            time.sleep(max(0.0, deadline - time.monotonic()))
        data = bytes(self._replies)
        self._replies.clear()
        return data

    def _handle(self, packet: bytes) -> None:
        if len(packet) < 8 or packet[0] != 0:
            return
        _, command, size, _ = struct.unpack("<BBHI", packet[:8])
        body = packet[8 : 8 + size]
        self.commands.append(command)
        if command == SYNC:
            for _ in range(8):
                self._reply(command, value=0 if self._in_stub else 0x2012)
        elif command == READ_REG:
            (address,) = struct.unpack("<I", body)
            self._reply(command, value=FLASH_ID_4_MB if address == SPI_W0 else 0)
        elif command == SECURITY_INFO:
            self._reply(command, data=struct.pack("<I8xII", 0, self._chip_id, 0))
        elif command == MD5:
            address, length = struct.unpack("<II", body[:8])
            digest = hashlib.md5(self.flash[address : address + length])
            self._reply(command, data=digest.digest() if self._in_stub else digest.hexdigest().encode())
        else:
            if command in (FLASH_BEGIN, DEFL_BEGIN):
                self._at = struct.unpack("<4I", body[:16])[3]
                self._inflate = zlib.decompressobj()
            elif command in (FLASH_DATA, DEFL_DATA):
                content = body[16:]
                self._program(self._inflate.decompress(content) if command == DEFL_DATA else content)
            self._reply(command)
        if command == MEM_END and not self._in_stub:
            self._in_stub = True
            self._send(b"OHAI")

    def _program(self, data: bytes) -> None:
        self.flash[self._at : self._at + len(data)] = data
        self._at += len(data)

    def _reply(self, command: int, value: int = 0, data: bytes = b"") -> None:
        status = b"\0\0" if self._in_stub else b"\0\0\0\0"
        body = data + status
        self._send(struct.pack("<BBHI", 1, command, len(body), value) + body)

    def _send(self, packet: bytes) -> None:
        escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        self._replies += bytes((END,)) + escaped + bytes((END,))


def _unescaped(packet: bytearray) -> bytearray:
    plain = bytearray()
    escaped = False
    for byte in packet:
        if escaped:
            plain.append(_UNESCAPE.get(byte, byte))
        elif byte != ESCAPE:
            plain.append(byte)
        escaped = byte == ESCAPE and not escaped
    return plain
