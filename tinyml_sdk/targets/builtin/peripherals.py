"""The few peripherals that a benchmark firmware touches, as registers; everything else reads as 0.

Time is instructions: a counter or timer that runs from the core's clock counts one an instruction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from ...errors import TargetError

__all__ = [
    "Clock",
    "CmsdkTimer",
    "Dwt",
    "Nrf51Clock",
    "Nrf51Timer",
    "Peripheral",
    "SystemControl",
    "TestFinisher",
]

Clock = Callable[[], int]
"""Instructions executed up to the access that is being served."""


class Peripheral(ABC):
    """A block of registers. Reset makes it anew: no state is in class variables.

    Attributes:
        size: Bytes of address space, a multiple of 1 KiB.
        register_bytes: Of a register, 4 or 1.
    """

    size = 0x1000
    register_bytes = 4

    @abstractmethod
    def read(self, offset: int) -> int:
        """The register at an offset that is a multiple of its size."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Set the register at an offset that is a multiple of its size."""


class Stopwatch:
    """Counts instructions while it runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._value = 0
        self._since: int | None = None

    @property
    def value(self) -> int:
        """Instructions counted so far."""
        return self._value + (self._clock() - self._since if self._since is not None else 0)

    def set(self, value: int) -> None:
        """Go on from a value."""
        self._value = value
        if self._since is not None:
            self._since = self._clock()

    def run(self, running: bool) -> None:
        """Start or stop. Starting what runs changes nothing."""
        if running == (self._since is not None):
            return
        if running:
            self._since = self._clock()
        else:
            self._value = self.value
            self._since = None


# -- the core -----------------------------------------------------------------------------------------------------


class Dwt(Peripheral):
    """The core's cycle counter (Armv7-M ARM, C1.8). It counts once trace is enabled in DEMCR, as on the chip."""

    CTRL, CYCCNT = 0x000, 0x004

    def __init__(self, clock: Clock) -> None:
        self._cycles = Stopwatch(clock)
        self._enabled = self._trace = False

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.CYCCNT:
            return self._cycles.value & 0xFFFFFFFF
        return int(self._enabled) if offset == self.CTRL else 0

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.CYCCNT:
            self._cycles.set(value)
        elif offset == self.CTRL:
            self._enabled = bool(value & 1)
            self._cycles.run(self._enabled and self._trace)

    def trace(self, enabled: bool) -> None:
        """What DEMCR.TRCENA does."""
        self._trace = enabled
        self._cycles.run(self._enabled and self._trace)


class SystemControl(Peripheral):
    """SysTick and the System Control Block (Armv7-M ARM, B3.2 and B3.3). Other registers keep what is written.

    SysTick counts down once an instruction, from the core's clock whatever source is chosen.

    Args:
        cpuid: What the CPUID register says.
        on_reset: Called when the firmware asks for a system reset.
        dwt: The core's DWT, where it has one.
    """

    SYST_CSR, SYST_RVR, SYST_CVR = 0x010, 0x014, 0x018
    CPUID, AIRCR, DEMCR = 0xD00, 0xD0C, 0xDFC
    _ENABLE, _TICKINT, _COUNTFLAG = 1 << 0, 1 << 1, 1 << 16
    _VECTKEY, _SYSRESETREQ, _TRCENA = 0x05FA, 1 << 2, 1 << 24

    def __init__(self, clock: Clock, cpuid: int, on_reset: Callable[[], None], dwt: Dwt | None) -> None:
        self._elapsed = Stopwatch(clock)
        self._on_reset = on_reset
        self._dwt = dwt
        self._reload = 0
        self._control = 0
        self._turns_seen = 0
        self._settings = {self.CPUID: cpuid}

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.SYST_CSR:
            return self._read_control()
        if offset == self.SYST_RVR:
            return self._reload
        if offset == self.SYST_CVR:
            return -self._elapsed.value % (self._reload + 1)
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.SYST_CSR:
            self._write_control(value)
        elif offset == self.SYST_RVR:
            self._reload = value & 0xFFFFFF
        elif offset == self.SYST_CVR:
            # Whatever is written, the value becomes 0 and is loaded anew by the next count.
            self._elapsed.set(0)
            self._turns_seen = 0
        elif offset == self.AIRCR:
            if value >> 16 == self._VECTKEY and value & self._SYSRESETREQ:
                self._on_reset()
        elif offset != self.CPUID:
            self._settings[offset] = value
            if offset == self.DEMCR and self._dwt is not None:
                self._dwt.trace(bool(value & self._TRCENA))

    def _read_control(self) -> int:
        turns = self._elapsed.value // (self._reload + 1)
        turned, self._turns_seen = turns > self._turns_seen, turns
        return self._control | (self._COUNTFLAG if turned else 0)

    def _write_control(self, value: int) -> None:
        if value & self._ENABLE and value & self._TICKINT:
            raise TargetError(
                "the firmware enables the SysTick interrupt, and the builtin emulator has no interrupts",
                where="SYST_CSR",
                hint="use --target qemu, or a board whose counter needs no interrupt",
            )
        self._control = value & 0x7
        self._elapsed.run(bool(value & self._ENABLE) and self._reload != 0)


# -- nRF51 --------------------------------------------------------------------------------------------------------


class Nrf51Timer(Peripheral):
    """TIMER0 of the nRF51 in timer mode (nRF51 Series Reference Manual 3.0, chapter 18): 16 MHz, as the core."""

    START, STOP, CLEAR, CAPTURE, BITMODE, PRESCALER, CC = 0x000, 0x004, 0x00C, 0x040, 0x508, 0x510, 0x540
    _BITS = (16, 8, 24, 32)

    def __init__(self, clock: Clock) -> None:
        self._cycles = Stopwatch(clock)
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset in (self.START, self.STOP):
            self._cycles.run(offset == self.START)
        elif offset == self.CLEAR:
            self._cycles.set(0)
        elif self.CAPTURE <= offset < self.CAPTURE + 16:
            self._settings[self.CC + offset - self.CAPTURE] = self._ticks()
        else:
            self._settings[offset] = value

    def _ticks(self) -> int:
        bits = self._BITS[self._settings.get(self.BITMODE, 0) & 3]
        return (self._cycles.value >> (self._settings.get(self.PRESCALER, 0) & 0xF)) & ((1 << bits) - 1)


class Nrf51Clock(Peripheral):
    """CLOCK of the nRF51 (nRF51 Series Reference Manual 3.0, chapter 13). An oscillator is ready at once."""

    HFCLKSTART, LFCLKSTART = 0x000, 0x008
    HFCLKSTARTED, LFCLKSTARTED = 0x100, 0x104

    def __init__(self) -> None:
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.HFCLKSTART:
            self._settings[self.HFCLKSTARTED] = 1
        elif offset == self.LFCLKSTART:
            self._settings[self.LFCLKSTARTED] = 1
        else:
            self._settings[offset] = value


# -- Cortex-M System Design Kit -----------------------------------------------------------------------------------


class CmsdkTimer(Peripheral):
    """Timer of the Cortex-M System Design Kit (Arm DDI 0479, 4.4), without its interrupt. It counts down."""

    CTRL, VALUE, RELOAD = 0x0, 0x4, 0x8

    def __init__(self, clock: Clock) -> None:
        self._elapsed = Stopwatch(clock)
        self._start = self._reload = self._control = 0

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.VALUE:
            elapsed = self._elapsed.value
            return self._start - elapsed if elapsed <= self._start else self._turned(elapsed - self._start - 1)
        return {self.CTRL: self._control, self.RELOAD: self._reload}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.CTRL:
            self._control = value & 0xF
            self._elapsed.run(bool(value & 1))
        elif offset in (self.VALUE, self.RELOAD):
            # Both start it anew from the value written.
            self._start = value
            self._elapsed.set(0)
            if offset == self.RELOAD:
                self._reload = value

    def _turned(self, ticks: int) -> int:
        return self._reload - ticks % (self._reload + 1)


# -- QEMU's virt --------------------------------------------------------------------------------------------------


class TestFinisher(Peripheral):
    """SiFive's test device, as QEMU has it (hw/misc/sifive_test.c): a number written to it resets the machine."""

    RESET = 0x7777

    def __init__(self, on_reset: Callable[[], None]) -> None:
        self._on_reset = on_reset

    def read(self, offset: int) -> int:  # noqa: D102
        return 0

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == 0 and value & 0xFFFF == self.RESET:
            self._on_reset()
