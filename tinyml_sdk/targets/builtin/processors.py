"""What differs between instruction sets: how unicorn runs them, where peripherals lie, what a reset and a fault are."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...boards.model import Board
from .counting import RV32, THUMB, InstructionSet
from .peripherals import Clock, CmsdkTimer, Dwt, Nrf51Clock, Nrf51Timer, Peripheral, SystemControl, TestFinisher

__all__ = ["CortexM", "Processor", "Riscv32"]


class Processor(ABC):
    """One core with what belongs to it. It keeps no state: that is the engine's.

    Attributes:
        elf_machine: Whose code it runs, as ELF files say it.
        instruction_set: For the counter.
        peripherals: Origin and size of the address ranges where peripherals lie.
        exceptions: What unicorn's numbers mean, where it would take an exception. A chip would go to its handler.
    """

    elf_machine: ClassVar[str]
    instruction_set: ClassVar[InstructionSet]
    peripherals: ClassVar[tuple[tuple[int, int], ...]]
    exceptions: ClassVar[Mapping[int, str]]

    def __init__(self, unicorn: Any, board: Board) -> None:
        self.unicorn = unicorn
        self.board = board

    @abstractmethod
    def make_engine(self) -> Any:
        """A new unicorn engine without memory."""

    @abstractmethod
    def reset(self, engine: Any) -> None:
        """Set the registers that a reset sets."""

    @abstractmethod
    def resume_address(self, engine: Any) -> int:
        """The program counter as `emu_start` wants it."""

    @abstractmethod
    def program_counter(self, engine: Any) -> int:
        """The address of the next instruction."""

    @abstractmethod
    def stack_pointer(self, engine: Any) -> int:
        """The stack pointer in use."""

    @abstractmethod
    def make_peripherals(self, clock: Clock, on_reset: Callable[[], None], aside: Clock) -> dict[int, Peripheral]:
        """All but the console after a reset, by origin.

        Args:
            clock: For the counter: when it is read, a measurement begins or ends.
            on_reset: Called when the firmware asks for a reset.
            aside: The same time, for what is read beside the counter.
        """

    def before_access(self, engine: Any) -> None:  # noqa: B027 - most have nothing to do
        """Called before a peripheral is read or written."""


# -- Cortex-M -----------------------------------------------------------------------------------------------------

_DWT, _SYSTEM_CONTROL = 0xE000_1000, 0xE000_E000
_NRF51_CLOCK, _NRF51_TIMER0 = 0x4000_0000, 0x4000_8000
_NRF53_CLOCK = 0x5000_5000
_CMSDK_TIMER0 = 0x4000_0000

_IT_STATE = 0x0600_FC00
"""The bits of XPSR that tell which instructions of an IT block are left and their condition (Armv7-M ARM, B1.4.2)."""

_RESET_XPSR = 0x0100_0000
"""Thumb state and nothing else: an IT block that the reset has cut short would skip the first instructions."""

_CPUID = {
    "cortex-m0": 0x410C_C200,
    "cortex-m0plus": 0x410C_C601,
    "cortex-m3": 0x412F_C231,
    "cortex-m4": 0x410F_C241,
    "cortex-m7": 0x411F_C272,
    "cortex-m33": 0x410F_D213,
}


class CortexM(Processor):
    """Unicorn's Cortex-M, which takes no exceptions and no interrupts. Address map: Armv7-M ARM, B3.1."""

    elf_machine = "EM_ARM"
    instruction_set = THUMB
    peripherals: ClassVar[tuple[tuple[int, int], ...]] = ((0x4000_0000, 0x2000_0000), (0xE000_0000, 0x0010_0000))
    exceptions: ClassVar[Mapping[int, str]] = {
        1: "an undefined instruction",
        2: "a supervisor call (svc)",
        7: "a breakpoint (bkpt)",
    }

    def make_engine(self) -> Any:  # noqa: D102 - as in Processor, here and below
        unicorn = self.unicorn
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        # A Cortex-M0+ executes what a Cortex-M0 does.
        name = self.board.core_spec.family.removesuffix("plus").upper().replace("-", "_")
        engine.ctl_set_cpu_model(getattr(unicorn.arm_const, f"UC_CPU_ARM_{name}"))
        return engine

    def reset(self, engine: Any) -> None:  # noqa: D102
        stack, entry = struct.unpack("<II", engine.mem_read(self.board.flash.origin, 8))
        arm = self.unicorn.arm_const
        engine.reg_write(arm.UC_ARM_REG_XPSR, _RESET_XPSR)
        engine.reg_write(arm.UC_ARM_REG_SP, stack)
        engine.reg_write(arm.UC_ARM_REG_LR, 0xFFFF_FFFF)
        engine.reg_write(arm.UC_ARM_REG_PC, entry | 1)

    def resume_address(self, engine: Any) -> int:  # noqa: D102
        return self.program_counter(engine) | 1

    def program_counter(self, engine: Any) -> int:  # noqa: D102
        return int(engine.reg_read(self.unicorn.arm_const.UC_ARM_REG_PC))

    def stack_pointer(self, engine: Any) -> int:  # noqa: D102
        return int(engine.reg_read(self.unicorn.arm_const.UC_ARM_REG_SP))

    def make_peripherals(  # noqa: D102
        self, clock: Clock, on_reset: Callable[[], None], aside: Clock
    ) -> dict[int, Peripheral]:
        board = self.board
        dwt = Dwt(clock) if board.core_spec.has("dwt") else None
        found: dict[int, Peripheral] = {
            _SYSTEM_CONTROL: SystemControl(clock, _CPUID[board.core_spec.family], on_reset, dwt)
        }
        if dwt is not None:
            found[_DWT] = dwt
        if board.counter == "cmsdk_timer":
            found[_CMSDK_TIMER0] = CmsdkTimer(clock)
        if board.console.driver == "nrf51_uart":
            found |= {_NRF51_CLOCK: Nrf51Clock(), _NRF51_TIMER0: Nrf51Timer(clock)}
        if board.console.driver == "nrf_uarte":
            found[_NRF53_CLOCK] = Nrf51Clock()  # the same registers
        return found

    def before_access(self, engine: Any) -> None:
        """Unicorn writes back the state of the IT block around an access, and would apply it to the next block too."""
        arm = self.unicorn.arm_const
        xpsr = engine.reg_read(arm.UC_ARM_REG_XPSR)
        if xpsr & _IT_STATE:
            engine.reg_write(arm.UC_ARM_REG_XPSR, xpsr & ~_IT_STATE)


# -- RISC-V -------------------------------------------------------------------------------------------------------

_TEST_FINISHER = 0x0010_0000


class Riscv32(Processor):
    """Unicorn's RV32 as on QEMU's machine `virt`. The counters `mcycle` and `minstret` are `counting.py`'s."""

    elf_machine = "EM_RISCV"
    instruction_set = RV32
    peripherals = ((_TEST_FINISHER, 0x1000), (0x1000_0000, 0x1000))
    exceptions: ClassVar[Mapping[int, str]] = {
        0: "a jump to an odd address",
        1: "a jump to where no code is",
        2: "an illegal instruction",
        8: "a call to the system (ecall)",
        11: "a call to the system (ecall)",
    }

    def make_engine(self) -> Any:  # noqa: D102
        unicorn = self.unicorn
        return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)

    def reset(self, engine: Any) -> None:  # noqa: D102
        engine.reg_write(self.unicorn.riscv_const.UC_RISCV_REG_PC, self.board.flash.origin)

    def resume_address(self, engine: Any) -> int:  # noqa: D102
        return self.program_counter(engine)

    def program_counter(self, engine: Any) -> int:  # noqa: D102
        return int(engine.reg_read(self.unicorn.riscv_const.UC_RISCV_REG_PC))

    def stack_pointer(self, engine: Any) -> int:  # noqa: D102
        return int(engine.reg_read(self.unicorn.riscv_const.UC_RISCV_REG_SP))

    def make_peripherals(  # noqa: D102
        self, clock: Clock, on_reset: Callable[[], None], aside: Clock
    ) -> dict[int, Peripheral]:
        return {_TEST_FINISHER: TestFinisher(on_reset)}
