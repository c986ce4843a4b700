"""A board as the rest of the package sees it: validated, immutable, every figure in bytes, hertz or baud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .cores import CORES, Core

__all__ = [
    "Board",
    "Console",
    "Emulators",
    "FlashTool",
    "MemoryRegion",
    "PlatformioIds",
    "PortReset",
    "ProjectKind",
    "QemuMachine",
    "RenodePlatform",
]

ProjectKind = Literal["baremetal", "platformio", "esp_idf", "cmake", "arduino"]
Address = Annotated[int, Field(ge=0, lt=2**32)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./ +-]*$")]
"""What becomes one argument of a command line: it does not begin with a dash."""

UsbId = Annotated[str, Field(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
"""Vendor and product of a USB device, as `lsusb` writes them: `0483:374b`."""

PortReset = Literal["none", "dtr_rts", "esp"]
"""How opening or toggling the serial port resets the board.

`none`: it does not. `dtr_rts`: DTR and RTS, inactive and active again, as on Arduino boards. `esp`: RTS drives EN and
DTR the boot strap (IO0, IO9), through the two transistors of Espressif's boards.
"""


FRAMEWORK_CONSOLES = ("arduino_serial", "esp_uart")
"""Console drivers that are a framework's own."""

PLACELESS_CONSOLES = (*FRAMEWORK_CONSOLES, "semihosting")
"""Console drivers without registers of their own."""

PIN_CONSOLES = ("nrf51_uart", "nrf_uarte")
"""Console drivers that are told their pins."""


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
    """The serial port the benchmark application answers on.

    Attributes:
        driver: `semihosting` is a debugger or an emulator, `arduino_serial` the `Serial` of the board's Arduino core,
            `esp_uart` ESP-IDF's driver.
        address: Of the UART's registers; 0 where a framework drives it.
        tx_pin, rx_pin: Where it comes out, for drivers that can put it on any pin (nRF: of port 0).
    """

    driver: Literal[
        "cmsdk_uart",
        "stm32_usart",
        "stm32_lpuart",
        "nrf51_uart",
        "nrf_uarte",
        "pl011_uart",
        "semihosting",
        "ns16550",
        "arduino_serial",
        "esp_uart",
    ]
    address: Address = 0
    tx_pin: Annotated[int, Field(ge=0, le=31)] | None = None
    rx_pin: Annotated[int, Field(ge=0, le=31)] | None = None
    baud: Annotated[int, Field(ge=1200, le=4_000_000)] = 115_200

    @model_validator(mode="after")
    def _has_registers(self) -> Console:
        if self.address == 0 and self.driver not in PLACELESS_CONSOLES:
            raise _conflict("address", f"is missing: {self.driver} needs it")
        for key in ("tx_pin", "rx_pin"):
            if (getattr(self, key) is not None) != (self.driver in PIN_CONSOLES):
                given = getattr(self, key) is not None
                raise _conflict(key, f"{self.driver} takes no pins" if given else f"is missing: {self.driver} needs it")
        return self


class QemuMachine(_Strict):
    """How QEMU runs this board: `qemu-system-SYSTEM -M machine`, and `-cpu` and `-bios` where they are given.

    Attributes:
        cpu: The core and its extensions, where the machine's own is not the board's.
        bios: `none` where the firmware itself is to run at reset.
    """

    machine: str
    system: Literal["arm", "riscv32"] = "arm"
    cpu: str | None = None
    bios: Literal["none"] | None = None


class RenodePlatform(_Strict):
    """How Renode knows this board.

    Attributes:
        platform: Of its platform descriptions (.repl) the one to take; None where ours describes all of the board.
        uart: What that calls the console.
    """

    platform: Annotated[str, Field(pattern=r"^platforms/[A-Za-z0-9_./-]+\.repl$")] | None = None
    uart: Annotated[str, Field(pattern=r"^[a-z][A-Za-z0-9_]*$")] = "uart0"


class Emulators(_Strict):
    """Which emulators run the board's unchanged ELF. An absent key means that one cannot."""

    builtin: bool = False
    qemu: QemuMachine | None = None
    renode: RenodePlatform | None = None


_FLASH_TOOL_KEYS: dict[str, tuple[str, ...]] = {
    "esptool": ("chip",),
    "pyocd": ("target",),
    "openocd": ("config",),
    "st-flash": (),
    "picotool": (),
    "uf2": ("volume", "family"),
    "teensy_loader": ("mcu",),
    "platformio": (),
}
"""What each tool cannot do without."""

_TAKES_OFFSET = ("esptool", "st-flash", "uf2")


class FlashTool(_Strict):
    """One way to write a firmware to the board. Which keys there are depends on the tool.

    Attributes:
        chip: For esptool: `--chip`, such as esp32c3.
        target: For pyOCD: `--target`, such as nrf52840.
        config: For OpenOCD: a script of its search path, such as board/st_nucleo_f4.cfg.
        offset: Where the binary goes, for tools that write a plain one; the flash's origin where None.
        volume: For uf2: the label of the drive that the boot loader shows, such as RPI-RP2.
        family: For uf2: the family id that the boot loader accepts.
        mcu: For teensy_loader: `--mcu`, such as TEENSY41.
    """

    tool: Literal["esptool", "pyocd", "openocd", "st-flash", "picotool", "uf2", "teensy_loader", "platformio"]
    chip: Word | None = None
    target: Word | None = None
    config: Word | None = None
    offset: Address | None = None
    volume: Word | None = None
    family: Address | None = None
    mcu: Word | None = None

    @model_validator(mode="after")
    def _keys_of_the_tool(self) -> FlashTool:
        needed = _FLASH_TOOL_KEYS[self.tool]
        allowed = (*needed, *(("offset",) if self.tool in _TAKES_OFFSET else ()))
        for key in ("chip", "target", "config", "offset", "volume", "family", "mcu"):
            given = getattr(self, key) is not None
            if given and key not in allowed:
                raise _conflict(key, f"{self.tool} takes {' and '.join(('no such key, only tool', *allowed))}")
            if not given and key in needed:
                raise _conflict(key, f"is missing: {self.tool} needs it")
        return self


class PlatformioIds(_Strict):
    """What PlatformIO calls the board: the keys of an environment in `platformio.ini`.

    Attributes:
        platform: A name in its registry, or the address of a repository.
    """

    platform: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:@#+-]*$")]
    board: Word
    framework: Word


class Board(_Strict):
    """One board file. `core_spec` gives the features of its core.

    Attributes:
        port: The folder of `firmware_templates/ports` that runs on it; a serial port is never meant.
        flash_with: Ways to write a firmware, the default first.
        usb: Ids of the USB device that its serial port belongs to, where the board has it built in.
        reset: How the serial port resets it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: str
    vendor: str
    mcu: str
    core: str
    fpu: str = "none"
    clock_hz: Annotated[int, Field(ge=32_768, le=2_000_000_000)]
    flash: MemoryRegion
    ram: MemoryRegion
    counter: Literal["dwt", "systick", "nrf_timer", "esp_cpu", "micros", "mcycle", "cmsdk_timer"]
    console: Console
    projects: tuple[ProjectKind, ...]
    port: str
    flash_with: tuple[FlashTool, ...] = ()
    usb: tuple[UsbId, ...] = ()
    reset: PortReset = "none"
    platformio: PlatformioIds | None = None
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
        if self.counter == "mcycle" and not self.core_spec.isa.startswith("rv32"):
            raise _conflict("counter", f"a {self.core} has no mcycle: only RISC-V cores have it")
        if self.flash.origin < self.ram.end and self.ram.origin < self.flash.end:
            raise _conflict("ram", "overlaps with flash")
        if self.platformio is None and any(way.tool == "platformio" for way in self.flash_with):
            raise _conflict("flash_with", "platformio needs the board's ids in PlatformIO: add the key platformio")
        return self
