"""The console over semihosting: a breakpoint with a number that asks whoever runs the firmware (Arm IHI 0100)."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

__all__ = ["Semihosting"]

_BREAKPOINT = b"\xab\xbe"
"""bkpt 0xAB."""

_SYS_OPEN, _SYS_WRITE, _SYS_READC = 0x01, 0x05, 0x07
_CONSOLE = b":tt"
_HANDLE = 1
_FAILED = 0xFFFF_FFFF


class Semihosting:
    """Serves the calls that a console needs; others are crashes, as on a chip without a debugger.

    Args:
        received: What the host has written; bytes are taken from its front.
        sent: What the firmware writes is appended here.
    """

    def __init__(self, received: deque[int], sent: bytearray) -> None:
        self._received = received
        self._sent = sent

    def serve(self, engine: Any) -> bool | None:
        """Do what the firmware has stopped for.

        Returns:
            Whether it can go on, or False where it waits for a byte; None where it has stopped for something else.
        """
        from unicorn import arm_const as arm

        pc, operation, block = (
            engine.reg_read(register) for register in (arm.UC_ARM_REG_PC, arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1)
        )
        if bytes(engine.mem_read(pc, 2)) != _BREAKPOINT or operation not in (_SYS_OPEN, _SYS_WRITE, _SYS_READC):
            return None
        if operation == _SYS_READC:
            if not self._received:
                return False
            result = self._received.popleft()
        else:
            arguments = struct.unpack("<3I", engine.mem_read(block, 12))
            result = self._open(engine, *arguments) if operation == _SYS_OPEN else self._write(engine, *arguments)
        engine.reg_write(arm.UC_ARM_REG_R0, result)
        engine.reg_write(arm.UC_ARM_REG_PC, (pc + len(_BREAKPOINT)) | 1)
        return True

    def _open(self, engine: Any, name: int, _mode: int, length: int) -> int:
        return _HANDLE if bytes(engine.mem_read(name, length)) == _CONSOLE else _FAILED

    def _write(self, engine: Any, handle: int, address: int, size: int) -> int:
        """How many bytes were not written."""
        if handle != _HANDLE:
            return size
        self._sent += engine.mem_read(address, size)
        return 0
