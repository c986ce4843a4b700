"""How long work tells how far it is, so that whoever waits can be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "unseen"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much. What it raises ends the work."""


def unseen(_stage: str, _done: int, _total: int) -> None:
    """The progress of work that nobody watches."""
