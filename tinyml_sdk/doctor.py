"""What this machine has of all that the package can use: found out by trying it, not by looking for names."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .bench.instructions import require_capstone
from .bench.tflm_reference import TflmReference
from .boards import list_boards
from .errors import MissingToolError, TinymlError
from .flash import get_flasher, list_flashers
from .link import list_ports
from .resources import boards_dir, templates_dir
from .targets import open_target
from .targets.builtin.counting import make_counter
from .targets.builtin.machine import require_unicorn
from .toolchains import Toolchain, get_toolchain
from .toolchains.cache import cache_dir

__all__ = ["Finding", "diagnose"]

Status = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        status: `ok`, `missing`, or `broken` where it is there but does not work.
        detail: Its version and place, or what is wrong.
        needed_for: What it is good for.
        remedy: What to do; empty where it is fine.
        required: Whether `tinyml bench` with its default target and toolchain needs it.
    """

    name: str
    status: Status
    detail: str
    needed_for: str
    remedy: str = ""
    required: bool = False


def diagnose() -> tuple[Finding, ...]:
    """Look for everything that the package can use.

    Compilers and emulators are asked for their versions, and the emulator counts a few instructions: the first time,
    that compiles its counter, which takes a second. Raises nothing: whatever fails is a finding.
    """
    return (
        _try("python", _python, "everything", required=True),
        _try("package data", _package_data, "everything", "install tinyml-sdk again", required=True),
        _try("cache folder", _cache_folder, "compilers and the emulator", required=True),
        _toolchain("zig", get_toolchain("zig"), "--toolchain zig, the default", required=True),
        _try(
            "builtin emulator",
            _unicorn,
            "--target builtin, the default",
            "pip install --force-reinstall unicorn",
            required=True,
        ),
        _try(
            "instruction counter",
            _counter,
            "the builtin emulator; without it, it counts the same a hundred times slower",
            "install zig or gcc, whichever is missing",
        ),
        _try("disassembler", _disassembler, "estimated cycles in tinyml bench"),
        _try("tflite-micro", _reference, "the reference for outputs; without it, the same C on this host"),
        _toolchain("host compiler", get_toolchain("host"), "the reference where tflite-micro is missing"),
        _try("tensorflow", _tensorflow, "tinyml compress and quantize"),
        _try("tf-keras", _tf_keras, "LSTM layers, and Keras 2's SavedModel"),
        _toolchain("gnu_arm", get_toolchain("gnu_arm"), "--toolchain gnu_arm"),
        _toolchain("platformio", get_toolchain("platformio"), "--toolchain platformio"),
        _try("qemu", _qemu, "--target qemu"),
        _try("renode", _renode, "--target renode"),
        _try("flash tools", _flash_tools, "tinyml flash; each board file names the ones for its board"),
        _try("serial ports", _serial_ports, "boards on a cable"),
    )


# -- each returns what it found, or raises with what to do ------------------------------------------------------------


def _python() -> str:
    return f"{platform.python_version()}, {sys.executable}"


def _package_data() -> str:
    """A wheel that was built wrongly lacks its templates, and everything else would fail strangely."""
    for folder, pattern in ((templates_dir(), "kernels/**/*.h"), (boards_dir(), "*.yaml")):
        if not any(folder.glob(pattern)):
            raise FileNotFoundError(f"no {pattern} in {folder}")
    return str(templates_dir().parent)


def _cache_folder() -> str:
    folder = cache_dir("emulator").parent
    with tempfile.TemporaryFile(dir=folder):
        return str(folder)


def _unicorn() -> str:
    unicorn = require_unicorn()
    unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    return f"unicorn {unicorn.__version__}"


def _counter() -> str:
    """Count four instructions that do nothing."""
    unicorn = require_unicorn()
    engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    engine.mem_map(0, 0x1000)
    engine.mem_write(0, b"\x00\xbf" * 5)
    counter = make_counter(engine, ())
    engine.emu_start(1, 8)
    if counter.total != 4:
        raise RuntimeError(f"counted {counter.total} instructions instead of 4")
    if counter.kind != "native":
        raise RuntimeError("it could not be compiled or loaded")
    return counter.kind


def _disassembler() -> str:
    return f"capstone {require_capstone().__version__}"


def _reference() -> str:
    return TflmReference.version()


def _tensorflow() -> str:
    """By its metadata: importing it takes seconds."""
    return f"{_installed('tensorflow', 'keras')}, Keras {_installed('keras', 'keras')}"


def _tf_keras() -> str:
    return _installed("tf-keras", "rnn")


def _installed(package: str, extra: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise MissingToolError("not installed", hint=f'pip install "tinyml-sdk[{extra}]"') from None


def _qemu() -> str:
    board = next(board for board in list_boards() if board.emulators.qemu is not None)
    with open_target("qemu", board) as target:
        return target.version()


def _renode() -> str:
    board = next(board for board in list_boards() if board.emulators.renode is not None)
    with open_target("renode", board) as target:
        return target.version()


def _flash_tools() -> str:
    found = [name for name in list_flashers() if _is_installed(name)]
    missing = [name for name in list_flashers() if name not in found]
    return ", ".join(found) + (f"; not installed: {', '.join(missing)}" if missing else "")


def _is_installed(flasher: str) -> bool:
    try:
        get_flasher(flasher).require()
    except MissingToolError:
        return False
    return True


def _serial_ports() -> str:
    ports = list_ports()
    if not ports:
        raise MissingToolError("there is none", hint="connect a board, or run in an emulator")
    return ", ".join(map(str, ports))


# -- how a failure becomes a finding ------------------------------------------------------------------------------


def _toolchain(name: str, toolchain: Toolchain, needed_for: str, *, required: bool = False) -> Finding:
    failed: Status = "broken" if toolchain.available() else "missing"
    return _try(name, toolchain.version, needed_for, required=required, failed=failed)


def _try(
    name: str,
    probe: Callable[[], str],
    needed_for: str,
    remedy: str = "",
    *,
    required: bool = False,
    failed: Status = "missing",
) -> Finding:
    """What a probe finds. Of the package's own errors the hint is the remedy, of all others it is `remedy`.

    `failed` is what a MissingToolError means; any other error means that something is broken.
    """
    try:
        return Finding(name, "ok", probe(), needed_for, required=required)
    except MissingToolError as error:
        return Finding(name, failed, error.message, needed_for, error.hint, required)
    except TinymlError as error:
        return Finding(name, "broken", str(error), needed_for, error.hint, required)
    except Exception as error:  # a binary for another machine, a missing library: each fails in its own way
        lines = str(error).splitlines() or [type(error).__name__]
        return Finding(name, "broken", lines[0], needed_for, remedy or f"install {name} again", required)
