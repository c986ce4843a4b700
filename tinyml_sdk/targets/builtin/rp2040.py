"""What an RP2040 firmware touches besides the core: UART, timer, clocks, and the boot ROM's way to start it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...errors import TargetError
from .peripherals import Clock, Peripheral
from .processors import CortexM
from .uarts import Uart

__all__ = ["Pl011Uart", "Rp2040", "boot_stage_2"]

_BOOT_ADDRESS = 0x2004_1F00
"""Where the boot ROM puts the second stage (RP2040 datasheet, 2.8.1.3)."""

_FLASH_INTERFACE = (0x1800_0000, 0x1000)
"""Origin and size of the registers that the second stage sets up. The emulated flash can be read anyway."""

_STAGE_2_BYTES = 252
_CRC_POLYNOMIAL = 0x04C1_1DB7

_CLOCKS, _RESETS, _XOSC, _PLL_SYS = 0x4000_8000, 0x4000_C000, 0x4002_4000, 0x4002_8000
_TIMER = 0x4005_4000


def boot_stage_2(flash: bytes, where: str) -> bytes:
    """The second stage at the start of the flash, checked as the boot ROM does before it runs it.

    Raises:
        TargetError: its checksum is wrong; the chip would then wait for a firmware over USB.
    """
    code, stored = flash[:_STAGE_2_BYTES], int.from_bytes(flash[_STAGE_2_BYTES : _STAGE_2_BYTES + 4], "little")
    crc = 0xFFFF_FFFF
    for byte in code:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc >> 31 else 0)) & 0xFFFF_FFFF
    if crc != stored:
        raise TargetError(
            f"the second boot stage has the checksum 0x{stored:08x}, not 0x{crc:08x}: the boot ROM would not run it",
            where=where,
            hint="the first 256 bytes of the flash must be those of boot2.c",
        )
    return code


class Rp2040(CortexM):
    """One of its two Cortex-M0+. The boot ROM starts it, and so does this."""

    peripherals = (*CortexM.peripherals, _FLASH_INTERFACE)

    def reset(self, engine: Any) -> None:
        """What the boot ROM does: it copies the second stage to RAM and runs it."""
        stage = boot_stage_2(bytes(engine.mem_read(self.board.flash.origin, 256)), self.board.name)
        engine.mem_write(_BOOT_ADDRESS, stage)
        arm = self.unicorn.arm_const
        engine.reg_write(arm.UC_ARM_REG_SP, _BOOT_ADDRESS)
        engine.reg_write(arm.UC_ARM_REG_LR, 0)
        engine.reg_write(arm.UC_ARM_REG_PC, _BOOT_ADDRESS | 1)

    def make_peripherals(self, clock: Clock, on_reset: Callable[[], None], aside: Clock) -> dict[int, Peripheral]:
        """Those of the port. They are ready as soon as they are asked to be."""
        return {
            **super().make_peripherals(clock, on_reset, aside),
            _RESETS: _Resets(),
            _CLOCKS: _Clocks(),
            _XOSC: _Xosc(),
            _PLL_SYS: _Pll(),
            _TIMER: _Timer(aside, self.board.clock_hz),
        }


class Pl011Uart(Uart):
    """Arm's PL011 (Arm DDI 0183, 3.3), without its interrupts and errors."""

    DR, FR, CR = 0x00, 0x18, 0x30
    _RX_EMPTY, _TX_EMPTY = 1 << 4, 1 << 7
    _UARTEN, _TXE, _RXE = 1 << 0, 1 << 8, 1 << 9

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102 - as in Peripheral, here and below
        receiving = self._enabled(self._RXE)
        if offset == self.FR:
            return self._TX_EMPTY | (0 if receiving and self._poll() else self._RX_EMPTY)
        if offset == self.DR:
            return self._take() if receiving else 0
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset != self.DR:
            self._settings[offset] = value
        elif self._enabled(self._TXE):
            self._send(value)

    def _enabled(self, direction: int) -> bool:
        needed = self._UARTEN | direction
        return self._settings.get(self.CR, 0) & needed == needed


class _Atomic(Peripheral):
    """Registers that are there four times: as they are, and to flip, set and clear bits (RP2040 datasheet, 2.1.2)."""

    size = 0x4000
    _ALIAS = 0x1000

    def __init__(self) -> None:
        self._values: dict[int, int] = {}

    def read(self, offset: int) -> int:
        return self._register(offset % self._ALIAS)

    def write(self, offset: int, value: int) -> None:
        way, register = divmod(offset, self._ALIAS)
        old = self._values.get(register, 0)
        self._values[register] = (value, old ^ value, old | value, old & ~value)[way]

    def _register(self, offset: int) -> int:
        return self._values.get(offset, 0)


class _Resets(_Atomic):
    RESET, DONE = 0x0, 0x8
    _ALL = 0x01FF_FFFF

    def __init__(self) -> None:
        super().__init__()
        self._values[self.RESET] = self._ALL

    def _register(self, offset: int) -> int:
        return self._ALL & ~self._values[self.RESET] if offset == self.DONE else super()._register(offset)


class _Clocks(_Atomic):
    REF_CTRL, REF_SELECTED, SYS_CTRL, SYS_SELECTED = 0x30, 0x38, 0x3C, 0x44

    def _register(self, offset: int) -> int:
        if offset == self.REF_SELECTED:
            return 1 << (self._values.get(self.REF_CTRL, 0) & 3)
        if offset == self.SYS_SELECTED:
            return 1 << (self._values.get(self.SYS_CTRL, 0) & 1)
        return super()._register(offset)


class _Xosc(_Atomic):
    CTRL, STATUS = 0x0, 0x4
    _ENABLE, _STABLE = 0xFAB, 1 << 31

    def _register(self, offset: int) -> int:
        enabled = self._values.get(self.CTRL, 0) >> 12 == self._ENABLE
        return self._STABLE if offset == self.STATUS and enabled else super()._register(offset)


class _Pll(_Atomic):
    CS, PWR = 0x0, 0x4
    _PD, _VCOPD, _LOCK = 1 << 0, 1 << 5, 1 << 31

    def __init__(self) -> None:
        super().__init__()
        self._values[self.PWR] = 0x2D

    def _register(self, offset: int) -> int:
        off = self._values[self.PWR] & (self._PD | self._VCOPD)
        return super()._register(offset) | (self._LOCK if offset == self.CS and not off else 0)


class _Timer(Peripheral):
    """Microseconds, at the clock that the board file gives the core."""

    size = 0x4000
    RAW_HIGH, RAW_LOW = 0x24, 0x28

    def __init__(self, clock: Clock, clock_hz: int) -> None:
        self._clock = clock
        self._cycles_a_tick = clock_hz // 1_000_000

    def read(self, offset: int) -> int:
        ticks = self._clock() // self._cycles_a_tick
        return {self.RAW_HIGH: ticks >> 32, self.RAW_LOW: ticks & 0xFFFF_FFFF}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        pass
