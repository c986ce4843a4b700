"""Where the package keeps what it can make again: the compiler's cache, the native helper of the emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

__all__ = ["cache_dir", "one_at_a_time"]


def cache_dir(name: str) -> Path:
    """A folder of the user's cache, made if need be: `$XDG_CACHE_HOME/tinyml-sdk/NAME`, or below `~/.cache`.

    Raises:
        InputError: it cannot be made.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # The XDG specification says to ignore a relative path.
        root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
        folder = root / "tinyml-sdk" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise InputError(
            f"cannot make the cache folder: {reason}",
            hint="set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same folder. The lock ends with its process, whatever ends it."""
    import fcntl

    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
