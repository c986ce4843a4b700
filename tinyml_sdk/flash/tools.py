"""The programs that flash boards: which files they want, and the exact command lines."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import InputError
from .base import CommandFlasher, FlashJob, Symptom
from .image import intel_hex, read_flash_image

__all__ = [
    "EsptoolFlasher",
    "OpenOcdFlasher",
    "PicotoolFlasher",
    "PlatformioFlasher",
    "PyOcdFlasher",
    "StFlashFlasher",
    "TeensyLoaderFlasher",
]

_ELF, _BIN, _HEX = "firmware.elf", "firmware.bin", "firmware.hex"
"""What the files are called where the commands run: no path of the user's is ever part of a script."""


def _is_plain(job: FlashJob) -> bool:
    return job.image.suffix.lower() == ".bin"


def _copy(job: FlashJob, folder: Path) -> None:
    """The image under its fixed name, once it is known to be one."""
    read_flash_image(job.image, job.offset)
    shutil.copyfile(job.image, folder / (_BIN if _is_plain(job) else _ELF))


def _write_plain(job: FlashJob, folder: Path) -> None:
    """The image as a plain binary, which must begin where it will be written."""
    image = read_flash_image(job.image, job.offset)
    if image.origin != job.offset:
        raise InputError(
            f"begins at {image.origin:#010x}, and would be written to {job.offset:#010x}",
            where=str(job.image),
            hint="build it for this board, or correct offset in its board file",
        )
    (folder / _BIN).write_bytes(image.data)


class EsptoolFlasher(CommandFlasher):
    """Espressif's esptool, 5 or newer: through the boot loader in the chip's ROM, over the serial port."""

    name = program = module = "esptool"
    remedy = 'pip install "esptool>=5"'
    needs_port = True
    symptoms = (
        Symptom(
            r"This chip is (?P<found>\S+?),? not|wrong chip|Unexpected chip",
            "another chip answers than the one in the board file",
            "choose the board that is plugged in: esptool's last lines above say what it is",
        ),
        Symptom(
            r"Failed to connect|No serial data received|Wrong boot mode|Invalid head of packet",
            "the chip's boot loader does not answer",
            "hold BOOT (IO0), press RESET (EN) once, release BOOT and try again; a cable without data lines and "
            "another program on the port give the same",
        ),
    )

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102 - as in CommandFlasher, here and below
        _copy(job, folder)

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        chip = ("esptool", "--chip", str(job.way.chip))
        write = (*chip, "--port", str(job.port), "write-flash", f"{job.offset:#x}", _BIN)
        return (write,) if _is_plain(job) else ((*chip, "elf2image", "--output", _BIN, _ELF), write)


class PyOcdFlasher(CommandFlasher):
    """pyOCD: CMSIS-DAP, ST-LINK and J-Link probes."""

    name = program = module = "pyocd"
    remedy = "pip install pyocd"
    symptoms = (
        Symptom(
            r"no (available|connected) debug probes?",
            "pyOCD finds no debug probe",
            "connect the board's debug USB port; `pyocd list` shows what it sees. On Linux it needs its udev rules: "
            "github.com/pyocd/pyOCD/tree/main/udev",
        ),
        Symptom(
            r"target type .* not recognized",
            "pyOCD does not know this chip yet",
            "install its pack with `pyocd pack install TARGET`, TARGET as in the board file",
        ),
    )

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        _copy(job, folder)

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        file = f"{_BIN}@{job.offset:#x}" if _is_plain(job) else _ELF
        return (("pyocd", "load", "--no-wait", "--target", str(job.way.target), file),)


class OpenOcdFlasher(CommandFlasher):
    """OpenOCD, with a script that knows probe and chip."""

    name = program = "openocd"
    remedy = "apt-get install openocd, brew install openocd, or see openocd.org"
    symptoms = (
        Symptom(
            r"Can't find (\S+\.cfg)",
            "OpenOCD has no such script",
            "a newer OpenOCD may have it; or give another config in the board file",
        ),
        Symptom(
            r"open failed|unable to (open|find).*(cmsis|device)|no device found",
            "OpenOCD finds no debug probe",
            "connect the board's debug USB port. On Linux it needs udev rules: contrib/60-openocd.rules of OpenOCD",
        ),
    )

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        _copy(job, folder)

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        file = f"{_BIN} {job.offset:#x}" if _is_plain(job) else _ELF
        return (("openocd", "-f", str(job.way.config), "-c", f"program {file} verify reset exit"),)


class StFlashFlasher(CommandFlasher):
    """st-flash of the open stlink tools."""

    name = program = "st-flash"
    remedy = "apt-get install stlink-tools, brew install stlink, or see github.com/stlink-org/stlink"
    symptoms = (
        Symptom(
            r"couldn't find any ST-Link",
            "st-flash finds no ST-LINK",
            "connect the board's ST-LINK USB port; `st-info --probe` shows what it sees",
        ),
    )

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        _write_plain(job, folder)

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        return (("st-flash", "--reset", "write", _BIN, f"{job.offset:#x}"),)


class PicotoolFlasher(CommandFlasher):
    """Raspberry Pi's picotool: through the boot loader in the chip's ROM, over USB."""

    name = program = "picotool"
    hides_port = True
    remedy = "apt-get install picotool, or see github.com/raspberrypi/picotool; or flash with uf2"
    symptoms = (
        Symptom(
            r"No accessible RP\S* devices? in BOOTSEL",
            "picotool finds no chip in its boot loader",
            "hold BOOTSEL while plugging the board in, and try again",
        ),
    )

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        _copy(job, folder)

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        file = (_BIN, "-o", f"{job.offset:#x}") if _is_plain(job) else (_ELF,)
        return (("picotool", "load", "-v", "-x", *file, "-f"),)


class TeensyLoaderFlasher(CommandFlasher):
    """PJRC's command line loader. It waits for the board's button where it cannot start the boot loader itself."""

    name = "teensy_loader"
    hides_port = True
    program = "teensy_loader_cli"
    remedy = "apt-get install teensy-loader-cli, or see github.com/PaulStoffregen/teensy_loader_cli"

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        image = read_flash_image(job.image, job.offset)
        (folder / _HEX).write_text(intel_hex(image), encoding="ascii")

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        return (("teensy_loader_cli", f"--mcu={job.way.mcu}", "-w", "-s", "-v", _HEX),)


class PlatformioFlasher(CommandFlasher):
    """PlatformIO: builds and uploads a project, with whatever tool its platform uses."""

    name = "platformio"
    program = "pio"
    module = "platformio"
    remedy = "pip install platformio"

    def prepare(self, job: FlashJob, folder: Path) -> None:  # noqa: D102
        if job.project is None or not (job.project / "platformio.ini").is_file():
            raise InputError(
                "platformio uploads a project, and this is none: it has no platformio.ini",
                where=str(job.project or job.image),
                hint="give the folder of a PlatformIO project, or choose another flash tool with --tool",
            )

    def commands(self, job: FlashJob) -> tuple[tuple[str, ...], ...]:  # noqa: D102
        assert job.project is not None
        port = ("--upload-port", job.port) if job.port else ()
        return (("pio", "run", "--project-dir", str(job.project.resolve()), "--target", "upload", *port),)
