"""A board on unicorn: memory, the peripherals of `peripherals.py`, and a run loop that stops where told.

Unicorn takes no exceptions and no interrupts here. A fault ends the run with an error that says where.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ...boards.model import Board, MemoryRegion
from ...errors import MissingToolError, TargetError
from ..blocks import ExecutedBlock
from .counting import BlockCount, Counter, make_counter
from .image import FirmwareImage
from .peripherals import Peripheral
from .processors import CortexM, Processor, Riscv32
from .rp2040 import Pl011Uart, Rp2040
from .semihosting import Semihosting
from .signals import postponed_signals
from .uarts import UARTS, NrfUarte, Uart

__all__ = ["Machine", "processor_type", "require_unicorn"]

_NRF53_FICR = 0x00FF_0000
"""What the factory has written into the chip. Here it says nothing: all ones."""

_PAGE = 0x1000
_GRANULE = 0x400
"""Peripherals lie at multiples of 1 KiB."""

_NOWHERE = 0xFFFF_FFFE
"""Unicorn stops at an address that it must be given; nothing is there."""


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
        self._processor = processor_type(board)(self._unicorn, board)
        self._semihosting = Semihosting(self.received, self.sent) if board.console.driver == "semihosting" else None
        self._engine = self._make_engine()
        ranges = tuple((origin, origin + size - 1) for origin, size in self._processor.peripherals)
        self._counter = make_counter(self._engine, ranges, self._processor.instruction_set)
        self._readings: list[dict[tuple[int, int], BlockCount] | None] | None = None
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

        A signal that Python handles, Ctrl-C for one, ends it early: at the end of a block too, so it may go on later.

        Returns:
            Whether it waits.

        Raises:
            TargetError: the firmware did what would be a fault on the chip.
        """
        limit = self._counter.total + instructions
        self._idle = False
        with postponed_signals(self._counter.stop) as signals:
            while self._counter.total < limit and not self._idle:
                self._counter.stop_at(limit)
                if signals:  # asked only now: the line above may have undone their stop
                    break
                if self._run_engine():
                    continue
                if self._reset_requested:
                    self._restart()
                elif not self._idle and not signals and self._counter.total < limit:
                    self._idle = True  # a wait for interrupt (wfi), of which there are none
        return self._idle

    def start_recording(self) -> None:
        """Remember, from now on, what was executed whenever the firmware reads its counter."""
        self._readings = []

    def stop_recording(self) -> tuple[tuple[ExecutedBlock, ...], ...]:
        """For each time between two successive readings of the counter what was executed; empty where that is lost."""
        readings, self._readings = self._readings or [], None
        if any(reading is None for reading in readings):
            return ()
        return tuple(tuple(self._executed(before or {}, after or {})) for before, after in pairwise(readings))

    def reset(self) -> None:
        """Press the reset button: bytes on their way are lost, RAM keeps its content."""
        self.received.clear()
        self.sent.clear()
        self._restart()

    # -- set-up ---------------------------------------------------------------------------------------------------

    def _make_engine(self) -> Any:
        unicorn = self._unicorn
        engine = self._processor.make_engine()
        _map(engine, self._board.flash, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        _map(engine, self._board.ram, unicorn.UC_PROT_ALL)
        if self._board.console.driver == "nrf_uarte":
            engine.mem_map(_NRF53_FICR, _PAGE, unicorn.UC_PROT_READ)
            engine.mem_write(_NRF53_FICR, b"\xff" * _PAGE)
        for address, content in self._image.segments:
            self._check_place(address, len(content))
            engine.mem_write(address, content)
        for origin, size in self._processor.peripherals:
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
        found = self._processor.make_peripherals(self._read_clock, self._on_reset, self._counter.at_access)
        if self._semihosting is None:
            found[self._board.console.address] = self._make_uart()
        return {
            address // _GRANULE: (origin, peripheral)
            for origin, peripheral in found.items()
            for address in range(origin, origin + peripheral.size, _GRANULE)
        }

    def _read_clock(self) -> int:
        """Instructions executed up to now, for the counters of the chip."""
        if self._readings is not None:
            self._readings.append(self._counter.blocks())
        return self._counter.at_access()

    def _executed(
        self, before: dict[tuple[int, int], BlockCount], after: dict[tuple[int, int], BlockCount]
    ) -> Iterator[ExecutedBlock]:
        for (address, size), (entered, left) in after.items():
            entered_before, left_before = before.get((address, size), (0, 0))
            if entered > entered_before:
                code = bytes(self._engine.mem_read(address, size))
                yield ExecutedBlock(address, code, entered - entered_before, left - left_before)

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
        self._processor.reset(self._engine)

    def _run_engine(self) -> bool:
        """Run until something stops the engine. True: it was a call of the firmware, which has been served."""
        try:
            self._engine.emu_start(self._processor.resume_address(self._engine), _NOWHERE)
        except self._unicorn.UcError as error:
            raise self._problem or self._fault(str(error)) from error
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if self._exception is None:
            return False
        served = self._semihosting.serve(self._engine) if self._semihosting is not None else None
        if served is None:
            raise self._fault("")
        self._exception = None
        self._idle = not served
        return True

    def _read(self, _engine: Any, offset: int, size: int, origin: int) -> int:
        try:
            self._processor.before_access(self._engine)
            address = origin + offset
            found = self._peripherals.get(address // _GRANULE)
            if found is None:
                return 0
            within = found[1].register_bytes - 1
            value = found[1].read((address - found[0]) & ~within)
            return value >> 8 * (address & within) & ((1 << 8 * size) - 1)
        except BaseException as error:  # left to unicorn's binding, ctypes would complain that no value came
            self._abandon(error)
            return 0

    def _write(self, _engine: Any, offset: int, size: int, value: int, origin: int) -> None:
        try:
            self._processor.before_access(self._engine)
            found = self._peripherals.get((origin + offset) // _GRANULE)
            if found is not None:
                within = found[1].register_bytes - 1
                found[1].write((origin + offset - found[0]) & ~within, value & ((1 << 8 * size) - 1))
        except BaseException as error:
            self._abandon(error)

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
        pc, stack = self._processor.program_counter(self._engine), self._processor.stack_pointer(self._engine)
        hint = "look the address up in the firmware; a debugger or --target qemu shows more"
        if self._bad_access is not None:
            kind, address = self._bad_access
            reason = f"{self._access_name(kind)} 0x{address:08x}, where there is none"
            if kind == self._unicorn.UC_MEM_WRITE_PROT:
                reason = f"the firmware wrote to flash at 0x{address:08x}"
            if not self._board.ram.origin <= stack <= self._board.ram.end:
                hint = f"the stack pointer, 0x{stack:08x}, has left the RAM: the stack has run over"
        elif self._exception is not None:
            reason = (
                f"the firmware met {self._processor.exceptions.get(self._exception, f'exception {self._exception}')}"
            )
        return TargetError(f"{reason}, at {self._image.describe(pc)}", where=self._image.path.name, hint=hint)

    def _access_name(self, kind: int) -> str:
        unicorn = self._unicorn
        if kind == unicorn.UC_MEM_READ_UNMAPPED:
            return "the firmware read memory at"
        if kind == unicorn.UC_MEM_WRITE_UNMAPPED:
            return "the firmware wrote memory at"
        return "the firmware jumped to code at"


def processor_type(board: Board) -> type[Processor]:
    """What kind of processor the board has."""
    if board.core_spec.isa.startswith("rv32"):
        return Riscv32
    return Rp2040 if board.port == "rp2040" else CortexM


def _map(engine: Any, region: MemoryRegion, permissions: int) -> None:
    origin = region.origin - region.origin % _PAGE
    engine.mem_map(origin, _page_end(region) - origin, permissions)


def _page_end(region: MemoryRegion) -> int:
    return -(-region.end // _PAGE) * _PAGE
