"""`tinyml boards`: which boards there are, and what is known of one."""

from __future__ import annotations

from typing import Annotated

import typer

from .errors import Command
from .output import emit, note, show

__all__ = ["boards_app"]

boards_app = typer.Typer(rich_markup_mode=None, help="List the boards, show one, or detect what is plugged in.")


@boards_app.callback(invoke_without_command=True)
def boards(context: typer.Context) -> None:
    """List the boards, show one, or detect what is plugged in."""
    if context.invoked_subcommand is None:
        list_()


@boards_app.command("list")
def list_() -> None:
    """List the boards that --board knows by name."""
    from ..boards import list_boards
    from ..report.boards import board_table

    show(board_table(list_boards()))


@boards_app.command("detect")
def detect() -> None:
    """List what is plugged in, and which boards it may be."""
    from ..detect import detect_boards
    from ..report.boards import detected_table

    found = detect_boards()
    if not found:
        note("no serial port is plugged in; a cable for charging only has no data lines")
        return
    show(detected_table(found))
    for detected in found:
        if detected.boards:
            note(f"try: tinyml bench MODEL --board {detected.boards[0]} --port {detected.port.device}")
            break


@boards_app.command("show", cls=Command)
def show_(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="Name or file of a board.", show_default=False)],
    yaml: Annotated[bool, typer.Option("--yaml", help="Print its board file, to begin one of your own with.")] = False,
) -> None:
    """Show one board: memory, clock, console, and what runs it."""
    from ..boards import board_file, load_board
    from ..report.boards import board_report

    read = load_board(board)
    if yaml:
        emit(board_file(board).read_text(encoding="utf-8"))
    else:
        show(board_report(read))
