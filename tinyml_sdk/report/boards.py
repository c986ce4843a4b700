"""The reports of `tinyml boards`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..boards import Board
from ..detect import DetectedPort
from .console import add_column, plain_table, significant, sized

__all__ = ["board_report", "board_table", "detected_table"]


def board_table(boards: Sequence[Board]) -> Table:
    """One line a board."""
    table = plain_table()
    add_column(table, "board")
    add_column(table, "core")
    for title in ("MHz", "flash", "RAM"):
        add_column(table, title, "right")
    table.add_column("runs in")  # wraps where the terminal is narrow, so that figures stay whole
    for board in boards:
        table.add_row(
            Text(board.name, "bold"),
            board.core,
            _megahertz(board).removesuffix(" MHz"),
            _rounded(board.flash.size),
            _rounded(board.ram.size),
            ", ".join(name for name, _ in _emulators(board)) or "-",
        )
    return table


def detected_table(found: Sequence[DetectedPort]) -> Table:
    """One line a port that is plugged in."""
    table = plain_table()
    for title in ("port", "USB id", "is", "boards"):
        add_column(table, title)
    for detected in found:
        port = detected.port
        name = ", ".join(fact for fact in (port.description, port.serial_number) if fact)
        boards = ", ".join(detected.boards) or "no board file has its USB id"
        table.add_row(Text(port.device, "bold"), port.usb or "-", Text(name), boards)
    return table


def board_report(board: Board) -> RenderableType:
    """All that is known of one board."""
    table = plain_table(header=False)
    add_column(table)
    table.add_column()
    rows = {
        "vendor": board.vendor,
        "chip": board.mcu,
        "core": f"{board.core_spec.title}, {'no FPU' if board.fpu == 'none' else board.fpu}",
        "clock": _megahertz(board),
        "flash": f"{sized(board.flash.size)} at {board.flash.origin:#010x}",
        "RAM": f"{sized(board.ram.size)} at {board.ram.origin:#010x}",
        "counter": board.counter,
        "console": _console(board),
        "runs in": ", ".join(f"{name} ({how})" if how else name for name, how in _emulators(board)) or "no emulator",
        "projects": ", ".join(board.projects),
        "flashed with": ", ".join(way.tool for way in board.flash_with) or "-",
        "USB id": ", ".join(board.usb) or "-",
        "source": board.source,
    }
    for key, value in rows.items():
        table.add_row(Text(key, "dim"), Text(value))
    for quirk in board.quirks:
        table.add_row(Text("note", "dim"), Text(quirk))
    return Group(Text.assemble((board.name, "bold"), f"  {board.title}"), table)


def _megahertz(board: Board) -> str:
    return f"{significant(board.clock_hz / 1e6)} MHz"


def _rounded(size: int) -> str:
    """A memory's size in a column: exact ones need not fit there."""
    unit, name = (1 << 20, "MB") if size >= 1 << 20 else (1 << 10, "KB")
    return f"{significant(size / unit, 3)} {name}"


def _console(board: Board) -> str:
    """Its driver, where its registers are if those are ours to drive, and its speed."""
    place = f" at {board.console.address:#010x}" if board.console.address else ""
    return f"{board.console.driver}{place}, {board.console.baud:,} baud"


def _emulators(board: Board) -> list[tuple[str, str]]:
    """The targets that emulate it, and as which machine."""
    builtin = [("builtin", "")] if board.emulators.builtin else []
    qemu = [("qemu", board.emulators.qemu.machine)] if board.emulators.qemu else []
    return [*builtin, *qemu, *([("renode", "")] if board.emulators.renode else [])]
