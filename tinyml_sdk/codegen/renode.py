"""Files for Renode: the board as a platform description, a script that runs the firmware, and a test for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..boards import Board
from ..boards.model import ProjectKind, RenodePlatform
from ..errors import BoardError
from .templates import render

__all__ = ["CONSOLE_PORT", "renode_files", "renode_platform", "renode_run_script"]

CONSOLE_PORT = 3456
"""Where a script that was not told otherwise opens the console."""

_TEMPLATES = "projects/renode"
_ELF = {"baremetal": "build/firmware.elf", "cmake": "build/zig/firmware.elf"}
"""Where each kind of project has its firmware once it is built."""

_FIND_VECTORS = 'cpu VectorTableOffset `sysbus GetSymbolAddress "vectors"`'

_INFO_REQUEST = bytes.fromhex("00 07 01 01 28 13 c5 2f 00")
"""Sequence number 1, type 1, CRC-32 (firmware_templates/app/frame.h)."""


def renode_platform(board: Board) -> str:
    """The platform description of a board (.repl).

    Raises:
        BoardError: Renode does not know the board.
    """
    return render(f"{_TEMPLATES}/board.repl.j2", _board_context(board))


def renode_run_script(board: Board, elf: Path, platform: Path, port: int) -> str:
    """A script that loads a firmware and opens its console on a port of this machine; it does not start it yet."""
    context = {**_board_context(board), "name": elf.stem, "port": port}
    return render(f"{_TEMPLATES}/script.resc.j2", {**context, "elf": f"@{elf}", "platform": f"@{platform}"})


def renode_files(name: str, board: Board, kind: ProjectKind, context: Mapping[str, Any]) -> dict[str, str]:
    """The folder `renode/` of a firmware project: path in the project → text.

    Args:
        name: The model's.
        board: For which board.
        kind: Of project, as that decides where the firmware is.
        context: What the project's templates know.

    Raises:
        BoardError: Renode does not know the board, or the project is built elsewhere.
    """
    if kind not in _ELF:
        raise BoardError(
            f"there are no files for Renode in a project of the kind {kind}",
            where=board.name,
            hint=f"choose --project {' or '.join(_ELF)}",
        )
    known = {
        **context,
        **_board_context(board),
        "port": CONSOLE_PORT,
        "elf": f"$ORIGIN/../{_ELF[kind]}",
        "platform": "$ORIGIN/board.repl",
        "elf_beside": f"../{_ELF[kind]}",
        "test": f"renode/{name}.robot",
        "info_request": _INFO_REQUEST,
        "sha256_run": _longest_run(bytes.fromhex(context["sha256"])).hex(" "),
    }
    return {
        "renode/board.repl": renode_platform(board),
        f"renode/{name}.resc": render(f"{_TEMPLATES}/script.resc.j2", known),
        f"renode/{name}.robot": render(f"{_TEMPLATES}/test.robot.j2", known),
    }


def _board_context(board: Board) -> dict[str, Any]:
    riscv = board.core_spec.isa.startswith("rv32")
    return {
        "version": __version__,
        "board": board,
        "renode": _known(board),
        "riscv": riscv,
        # What a reset of Renode's core forgets: where the firmware begins.
        "to_start": f"cpu PC 0x{board.flash.origin:08X}" if riscv else _FIND_VECTORS,
    }


def _known(board: Board) -> RenodePlatform:
    if board.emulators.renode is None:
        raise BoardError(
            "Renode does not know this board",
            where=board.name,
            hint="`tinyml boards show BOARD` lists a board's emulators",
        )
    return board.emulators.renode


def _longest_run(digest: bytes) -> bytes:
    """Its longest part without a zero, which is on the line as it is: COBS changes zeros only."""
    return max(digest.split(b"\0"), key=len)
