"""A Cortex-M board on unicorn: memory, the peripherals of `peripherals.py`, and a run loop that stops where told.

Unicorn's Cortex-M takes no exceptions and no interrupts. A fault ends the run with an error that says where.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

from ...boards.model import Board, MemoryRegion
from ...errors import MissingToolError, TargetError
from .counting import Counter, make_counter
from .image import FirmwareImage
from .peripherals import UARTS, Dwt, Nrf51Clock, Nrf51Timer, NrfUarte, Peripheral, SystemControl, Uart
from .rp2040 import BOOT_ADDRESS, FLASH_INTERFACE, Pl011Uart, boot_stage_2, rp2040_peripherals
from .semihosting import Semihosting

__all__ = ["Machine", "require_unicorn"]

_PERIPHERALS = ((0x4000_0000, 0x2000_0000), (0xE000_0000, 0x0010_0000))
"""Origin and size of the address ranges of the chip's and the core's peripherals (Armv7-M ARM, B3.1)."""

_DWT, _SYSTEM_CONTROL = 0xE000_1000, 0xE000_E000
_NRF51_CLOCK, _NRF51_TIMER0 = 0x4000_0000, 0x4000_8000
_NRF53_CLOCK = 0x5000_5000
_NRF53_FICR = 0x00FF_0000
"""What the factory has written into the chip. Here it says nothing: all ones."""

_PAGE = 0x1000
_GRANULE = 0x400
"""Peripherals lie at multiples of 1 KiB."""

_NOWHERE = 0xFFFF_FFFE
"""Unicorn stops at an address that it must be given; nothing is there."""

_IT_STATE = 0x0600_FC00
"""The bits of XPSR that tell which instructions of an IT block are left and their condition (Armv7-M ARM, B1.4.2)."""

_CPUID = {
    "cortex-m0": 0x410C_C200,
    "cortex-m0plus": 0x410C_C601,
    "cortex-m3": 0x412F_C231,
    "cortex-m4": 0x410F_C241,
    "cortex-m7": 0x411F_C272,
    "cortex-m33": 0x410F_D213,
}

_BREAKPOINT = 7
_EXCEPTIONS = {1: "an undefined instruction", 2: "a supervisor call (svc)", _BREAKPOINT: "a breakpoint (bkpt)"}
"""Numbers that unicorn gives its interrupt hook. A chip would take an exception here."""


def require_unicorn() -> Any:
    """The module unicorn. GPL-2.0, so an extra of its own, and imported nowhere else and only when it is used.

    Raises:
        MissingToolError: it is not installed.
    """
    try:
        import unicorn
    except ImportError as error:
        raise MissingToolError(
            "the builtin emulator needs unicorn, which is not installed",
            hint='pip install "tinyml-sdk[emulator]", or use --target qemu',
        ) from error
    return unicorn


class Machine:
    """One board with one firmware, at power-on. One instruction is one cycle of its clock.

    Attributes:
        received: Bytes on their way to the console, taken from the front.
        sent: Bytes that the firmware has sent.

    Raises:
        MissingToolError: unicorn is not installed.
        TargetError: the firmware does not lie within the board's flash and RAM.
    """

    def __init__(self, board: Board, image: FirmwareImage) -> None:
        self.received: deque[int] = deque()
        self.sent = bytearray()
        self._board = board
        self._image = image
        self._unicorn = require_unicorn()
        self._ranges = (*_PERIPHERALS, FLASH_INTERFACE) if board.port == "rp2040" else _PERIPHERALS
        self._semihosting = Semihosting(self.received, self.sent) if board.console.driver == "semihosting" else None
        self._engine = self._make_engine()
        ranges = tuple((origin, origin + size - 1) for origin, size in self._ranges)
        self._counter = make_counter(self._engine, ranges)
        self._restart()

    @property
    def instructions(self) -> int:
        """Instructions executed since power-on, resets included."""
        return self._counter.total

    @property
    def counter(self) -> Counter:
        """What counts them."""
        return self._counter

    def run(self, instructions: int) -> bool:
        """Execute so many instructions, to the end of a block, or until the firmware waits for the host.

        Returns:
            Whether it waits.

        Raises:
            TargetError: the firmware did what would be a fault on the chip.
        """
        limit = self._counter.total + instructions
        self._idle = False
        while self._counter.total < limit and not self._idle:
            self._counter.stop_at(limit)
            if self._run_engine():
                continue
            if self._reset_requested:
                self._restart()
            elif not self._idle and self._counter.total < limit:
                self._idle = True  # a wait for interrupt (wfi), of which there are none
        return self._idle

    def reset(self) -> None:
        """Press the reset button: bytes on their way are lost, RAM keeps its content."""
        self.received.clear()
        self.sent.clear()
        self._restart()

    # -- set-up ---------------------------------------------------------------------------------------------------

    def _make_engine(self) -> Any:
        unicorn = self._unicorn
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(_cpu_model(self._board.core))
        _map(engine, self._board.flash, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        _map(engine, self._board.ram, unicorn.UC_PROT_ALL)
        if self._board.console.driver == "nrf_uarte":
            engine.mem_map(_NRF53_FICR, _PAGE, unicorn.UC_PROT_READ)
            engine.mem_write(_NRF53_FICR, b"\xff" * _PAGE)
        for address, content in self._image.segments:
            self._check_place(address, len(content))
            engine.mem_write(address, content)
        for origin, size in self._ranges:
            engine.mmio_map(origin, size, self._read, origin, self._write, origin)
            # Without permissions unicorn first calls the hooks of the counter, and brings the program counter up to
            # date for them. Hooks of plain reads and writes would do that too, and slow down all of RAM fourfold.
            engine.mem_protect(origin, size, unicorn.UC_PROT_NONE)
        engine.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_FETCH_PROT, self._on_bad_access)
        flash = self._board.flash
        engine.hook_add(
            unicorn.UC_HOOK_MEM_WRITE_PROT, self._on_bad_access, begin=flash.origin, end=_page_end(flash) - 1
        )
        engine.hook_add(unicorn.UC_HOOK_INTR, self._on_exception)
        return engine

    def _check_place(self, address: int, size: int) -> None:
        for region in (self._board.flash, self._board.ram):
            if region.origin <= address and address + size <= region.end:
                return
        raise TargetError(
            f"the firmware has {size} bytes at 0x{address:08x}, outside the flash and RAM of {self._board.name}",
            where=str(self._image.path),
            hint="build it for this board",
        )

    def _make_peripherals(self) -> dict[int, tuple[int, Peripheral]]:
        """All peripherals after a reset: for each granule of address space the origin and the peripheral there."""
        board, clock = self._board, self._counter.at_access
        dwt = Dwt(clock) if board.core_spec.has("dwt") else None
        found: dict[int, Peripheral] = {
            _SYSTEM_CONTROL: SystemControl(clock, _CPUID[board.core], self._on_reset, dwt),
        }
        if self._semihosting is None:
            found[board.console.address] = self._make_uart()
        if dwt is not None:
            found[_DWT] = dwt
        if board.console.driver == "nrf51_uart":
            found |= {_NRF51_CLOCK: Nrf51Clock(), _NRF51_TIMER0: Nrf51Timer(clock)}
        if board.console.driver == "nrf_uarte":
            found[_NRF53_CLOCK] = Nrf51Clock()  # the same registers
        if board.port == "rp2040":
            found |= rp2040_peripherals(clock, board.clock_hz)
        return {
            address // _GRANULE: (origin, peripheral)
            for origin, peripheral in found.items()
            for address in range(origin, origin + peripheral.size, _GRANULE)
        }

    def _make_uart(self) -> Uart:
        console, line = self._board.console, (self.received, self.sent, self._on_idle)
        if console.driver == "nrf_uarte":
            engine = self._engine
            return NrfUarte(*line, lambda address, size: bytes(engine.mem_read(address, size)), engine.mem_write)
        return Pl011Uart(*line) if console.driver == "pl011_uart" else UARTS[console.driver](*line)

    # -- running --------------------------------------------------------------------------------------------------

    def _restart(self) -> None:
        """What a reset does, whoever asks for it."""
        self._idle = self._reset_requested = False
        self._problem: BaseException | None = None
        self._bad_access: tuple[int, int] | None = None
        self._exception: int | None = None
        self._peripherals = self._make_peripherals()
        try:
            stack, entry = struct.unpack("<II", self._engine.mem_read(self._board.flash.origin, 8))
        except self._unicorn.UcError as error:  # pragma: no cover - flash is always mapped
            raise self._fault("cannot be read") from error
        if self._board.port == "rp2040":
            stack, entry = self._boot_rom()
        arm = self._unicorn.arm_const
        self._engine.reg_write(arm.UC_ARM_REG_SP, stack)
        self._engine.reg_write(arm.UC_ARM_REG_LR, 0xFFFF_FFFF)
        self._engine.reg_write(arm.UC_ARM_REG_PC, entry | 1)

    def _boot_rom(self) -> tuple[int, int]:
        """What the RP2040's boot ROM does: it copies the second stage to RAM and runs it."""
        flash = bytes(self._engine.mem_read(self._board.flash.origin, 256))
        self._engine.mem_write(BOOT_ADDRESS, boot_stage_2(flash, self._image.path.name))
        return BOOT_ADDRESS, BOOT_ADDRESS

    def _run_engine(self) -> bool:
        """Run until something stops the engine. True: it was a call of the firmware that has been served."""
        pc = self._engine.reg_read(self._unicorn.arm_const.UC_ARM_REG_PC)
        try:
            self._engine.emu_start(pc | 1, _NOWHERE)
        except self._unicorn.UcError as error:
            raise self._problem or self._fault(str(error)) from error
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if self._exception is None:
            return False
        if self._semihosting is not None and self._exception == _BREAKPOINT:
            served = self._semihosting.serve(self._engine)
            if served is not None:
                self._exception = None
                self._idle = not served
                return True
        raise self._fault("")

    def _read(self, _engine: Any, offset: int, size: int, origin: int) -> int:
        try:
            self._leave_it_block()
            address = origin + offset
            found = self._peripherals.get(address // _GRANULE)
            if found is None:
                return 0
            value = found[1].read((address - found[0]) & ~3)
            return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)
        except BaseException as error:  # left to unicorn's binding, ctypes would complain that no value came
            self._abandon(error)
            return 0

    def _write(self, _engine: Any, offset: int, size: int, value: int, origin: int) -> None:
        try:
            self._leave_it_block()
            found = self._peripherals.get((origin + offset) // _GRANULE)
            if found is not None:
                found[1].write((origin + offset - found[0]) & ~3, value & ((1 << 8 * size) - 1))
        except BaseException as error:
            self._abandon(error)

    def _leave_it_block(self) -> None:
        """Unicorn writes back the state of the IT block around an access, and would apply it to the next block too."""
        arm = self._unicorn.arm_const
        xpsr = self._engine.reg_read(arm.UC_ARM_REG_XPSR)
        if xpsr & _IT_STATE:
            self._engine.reg_write(arm.UC_ARM_REG_XPSR, xpsr & ~_IT_STATE)

    def _abandon(self, error: BaseException) -> None:
        self._problem = error
        self._counter.stop()

    def _on_idle(self) -> None:
        self._idle = True
        self._counter.stop()

    def _on_reset(self) -> None:
        self._reset_requested = True
        self._counter.stop()

    def _on_exception(self, engine: Any, number: int, _user: object) -> None:
        self._exception = number
        engine.emu_stop()

    def _on_bad_access(self, _engine: Any, kind: int, address: int, _size: int, _value: int, _user: object) -> bool:
        self._bad_access = (kind, address)
        return False

    # -- faults ---------------------------------------------------------------------------------------------------

    def _fault(self, reason: str) -> TargetError:
        arm = self._unicorn.arm_const
        pc, stack = (self._engine.reg_read(register) for register in (arm.UC_ARM_REG_PC, arm.UC_ARM_REG_SP))
        hint = "look the address up in the firmware; a debugger or --target qemu shows more"
        if self._bad_access is not None:
            kind, address = self._bad_access
            reason = f"{self._access_name(kind)} 0x{address:08x}, where there is none"
            if kind == self._unicorn.UC_MEM_WRITE_PROT:
                reason = f"the firmware wrote to flash at 0x{address:08x}"
            if not self._board.ram.origin <= stack <= self._board.ram.end:
                hint = f"the stack pointer, 0x{stack:08x}, has left the RAM: the stack has run over"
        elif self._exception is not None:
            reason = f"the firmware met {_EXCEPTIONS.get(self._exception, f'exception {self._exception}')}"
        return TargetError(f"{reason}, at {self._image.describe(pc)}", where=self._image.path.name, hint=hint)

    def _access_name(self, kind: int) -> str:
        unicorn = self._unicorn
        if kind == unicorn.UC_MEM_READ_UNMAPPED:
            return "the firmware read memory at"
        if kind == unicorn.UC_MEM_WRITE_UNMAPPED:
            return "the firmware wrote memory at"
        return "the firmware jumped to code at"


def _cpu_model(core: str) -> int:
    from unicorn import arm_const

    # A Cortex-M0+ executes what a Cortex-M0 does.
    name = core.removesuffix("plus").upper().replace("-", "_")
    return int(getattr(arm_const, f"UC_CPU_ARM_{name}"))


def _map(engine: Any, region: MemoryRegion, permissions: int) -> None:
    origin = region.origin - region.origin % _PAGE
    engine.mem_map(origin, _page_end(region) - origin, permissions)


def _page_end(region: MemoryRegion) -> int:
    return -(-region.end // _PAGE) * _PAGE
