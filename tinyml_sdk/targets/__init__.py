"""Ways to run a firmware: the builtin emulator (the default), QEMU, Renode, a serial port, a script for tests.

Adding one is a new file with a `Target` and a line in `_TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..boards.model import Board
from ..errors import InputError
from .base import CounterInfo, Target
from .builtin import BuiltinTarget
from .qemu import QemuTarget
from .renode import RenodeTarget
from .scripted import ScriptedTarget, Step
from .serial import SerialTarget

__all__ = ["CounterInfo", "ScriptedTarget", "SerialTarget", "Step", "Target", "list_targets", "open_target"]

_TARGETS: dict[str, Callable[[Board], Target]] = {"builtin": BuiltinTarget, "qemu": QemuTarget, "renode": RenodeTarget}


def open_target(name: str | None, board: Board) -> Target:
    """The target of that name for a board. It holds nothing yet: `load` a firmware and `open` its console.

    None is the builtin emulator, or QEMU for a board that only QEMU has.

    Raises:
        InputError: there is no such target.
        BoardError: it cannot run this board.
        MissingToolError: what it needs is not installed; `open` may raise this too.
    """
    if name is None:
        name = "qemu" if board.emulators.qemu and not board.emulators.builtin else "builtin"
    if name not in _TARGETS:
        raise InputError(f"no target {name!r}", hint=f"choose one of {', '.join(_TARGETS)}")
    return _TARGETS[name](board)


def list_targets() -> tuple[str, ...]:
    """The names `open_target` knows, the default first."""
    return tuple(_TARGETS)
