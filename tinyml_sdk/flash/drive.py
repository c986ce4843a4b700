"""Boot loaders that show a drive: the firmware is copied there as UF2."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import FlashError
from ..progress import Progress
from .base import Flasher, FlashJob
from .image import read_flash_image, uf2

__all__ = ["Uf2Flasher", "mount_folders"]

_INFO = "INFO_UF2.TXT"
_CHUNK = 16 * 1024


def mount_folders() -> tuple[Path, ...]:
    """Folders in which a desktop mounts drives under their labels."""
    user = os.environ.get("USER", "")
    return (Path("/media") / user, Path("/media"), Path("/run/media") / user, Path("/Volumes"), Path("/mnt"))


class Uf2Flasher(Flasher):
    """Copies a UF2 file to the drive of the boot loader, which starts the firmware when it has all of it."""

    name = "uf2"
    hides_port = True

    def flash(self, job: FlashJob, folder: Path, progress: Progress) -> None:  # noqa: D102 - as in Flasher
        assert job.way.volume is not None
        assert job.way.family is not None
        data = uf2(read_flash_image(job.image, job.offset), job.way.family)
        drive = _find_drive(job.way.volume, job.board.name)
        stage = f"copying to {drive}"
        try:
            with (drive / "firmware.uf2").open("wb") as stream:
                for start in range(0, len(data), _CHUNK):
                    progress(stage, start, len(data))
                    stream.write(data[start : start + _CHUNK])
                    stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            # The boot loader takes its drive away with the last block, sometimes before the file is closed.
            gone = error.errno in (errno.EIO, errno.ENODEV, errno.ENOENT) and not (drive / _INFO).exists()
            if not gone:
                raise FlashError(
                    f"cannot copy: {error.strerror}",
                    where=str(drive),
                    hint="mount the drive so that you may write to it",
                ) from error
        progress(stage, len(data), len(data))


def _find_drive(volume: str, board: str) -> Path:
    for folder in mount_folders():
        drive = folder / volume
        if (drive / _INFO).is_file():
            return drive
    raise FlashError(
        f"no drive {volume} is mounted",
        where=board,
        hint="start the boot loader (Raspberry Pi Pico: hold BOOTSEL while plugging it in; XIAO, Feather: press reset "
        f"twice) and mount its drive, such as with `udisksctl mount -b /dev/disk/by-label/{volume}`",
    )
