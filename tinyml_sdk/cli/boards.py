"""`tinyml boards`: which boards there are, and what is known of one."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import show

__all__ = ["boards_app"]

boards_app = typer.Typer(rich_markup_mode=None, help="List the boards, or show one.")


@boards_app.callback(invoke_without_command=True)
def boards(context: typer.Context) -> None:
    """List the boards, or show one."""
    if context.invoked_subcommand is None:
        list_()


@boards_app.command("list")
def list_() -> None:
    """List the boards that --board knows by name."""
    from ..boards import list_boards
    from ..report.boards import board_table

    show(board_table(list_boards()))


@boards_app.command("show")
def show_(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="Name or file of a board.", show_default=False)],
) -> None:
    """Show one board: memory, clock, console, and what runs it."""
    from ..boards import load_board
    from ..report.boards import board_report

    show(board_report(load_board(board)))
