"""Boards as data: what a YAML file in `boards/` or the user's folder says, validated.

`Board` and its parts need pydantic, and are imported when they are first used, so that `boards.cores` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cores import CORES, Core
from .loader import board_file, board_folders, list_boards, load_board

if TYPE_CHECKING:
    from .model import Board

__all__ = ["CORES", "Board", "Core", "board_file", "board_folders", "list_boards", "load_board"]


def __getattr__(name: str) -> Any:
    if name == "Board":
        from .model import Board

        return Board
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
