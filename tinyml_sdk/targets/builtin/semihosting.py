"""The console over semihosting: a breakpoint with a number that asks whoever runs the firmware (Arm IHI 0100)."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["Semihosting"]

_BREAKPOINT = b"\xab\xbe"
"""bkpt 0xAB."""

_SYS_WRITEC, _SYS_READC = 0x03, 0x07


class Semihosting:
    """Serves the two calls that a console needs; others are crashes, as on a chip without a debugger.

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

        pc = engine.reg_read(arm.UC_ARM_REG_PC)
        operation = engine.reg_read(arm.UC_ARM_REG_R0)
        if bytes(engine.mem_read(pc, 2)) != _BREAKPOINT or operation not in (_SYS_WRITEC, _SYS_READC):
            return None
        if operation == _SYS_WRITEC:
            self._sent += engine.mem_read(engine.reg_read(arm.UC_ARM_REG_R1), 1)
        elif not self._received:
            return False
        else:
            engine.reg_write(arm.UC_ARM_REG_R0, self._received.popleft())
        engine.reg_write(arm.UC_ARM_REG_PC, (pc + len(_BREAKPOINT)) | 1)
        return True
