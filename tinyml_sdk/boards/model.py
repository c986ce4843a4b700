"""A board as the rest of the package sees it: validated, immutable, every figure in bytes, hertz or baud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .cores import CORES, Core

__all__ = ["Board", "Console", "Emulators", "MemoryRegion", "ProjectKind", "QemuMachine"]

ProjectKind = Literal["baremetal", "platformio", "esp_idf", "cmake", "arduino"]
Address = Annotated[int, Field(ge=0, lt=2**32)]


def _conflict(key: str, message: str) -> PydanticCustomError:
    """A fault between keys, to be shown at `key`."""
    # The message is a format string to pydantic, so it comes as a value.
    return PydanticCustomError("conflict", "{message}", {"message": message, "key": key})


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MemoryRegion(_Strict):
    """A span of memory the linker may fill. Bytes."""

    origin: Annotated[Address, Field(multiple_of=8)]
    size: Annotated[int, Field(gt=0, le=2**32, multiple_of=8)]

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.origin + self.size

    @model_validator(mode="after")
    def _addressable(self) -> MemoryRegion:
        if self.end > 2**32:
            raise _conflict("size", f"the region ends at {self.end:#x}, behind the last address of 32 bit")
        return self


class Console(_Strict):
    """The serial port the benchmark application answers on."""

    driver: Literal["cmsdk_uart", "stm32_usart", "nrf51_uart"]
    address: Address
    baud: Annotated[int, Field(ge=1200, le=4_000_000)] = 115_200


class QemuMachine(_Strict):
    """How QEMU runs this board: `qemu-system-arm -M machine`."""

    machine: str


class Emulators(_Strict):
    """Which emulators run the board's unchanged ELF. An absent key means that one cannot."""

    builtin: bool = False
    qemu: QemuMachine | None = None


class Board(_Strict):
    """One board file. `core_spec` gives the features of its core."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    vendor: str
    mcu: str
    core: str
    fpu: str = "none"
    clock_hz: Annotated[int, Field(ge=32_768, le=2_000_000_000)]
    flash: MemoryRegion
    ram: MemoryRegion
    counter: Literal["dwt", "systick", "nrf_timer"]
    console: Console
    projects: tuple[ProjectKind, ...]
    port: str
    emulators: Emulators = Emulators()
    quirks: tuple[str, ...] = ()
    source: str

    @property
    def core_spec(self) -> Core:
        """The features of this board's core."""
        return CORES[self.core]

    @model_validator(mode="after")
    def _consistent(self) -> Board:
        if self.core not in CORES:
            raise _conflict("core", f"{self.core!r} is not one of {', '.join(CORES)}")
        if self.fpu not in self.core_spec.fpus:
            raise _conflict("fpu", f"{self.fpu!r}: a {self.core} has {' or '.join(self.core_spec.fpus)}")
        if self.counter == "dwt" and not self.core_spec.has("dwt"):
            raise _conflict("counter", f"a {self.core} has no DWT cycle counter; use systick or a timer")
        if self.flash.origin < self.ram.end and self.ram.origin < self.flash.end:
            raise _conflict("ram", "overlaps with flash")
        return self
