"""Whether a model fits a board, told before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FitError

if TYPE_CHECKING:
    from ..boards.model import Board

__all__ = ["Fit", "check_fit", "measure_fit"]

APPLICATION_RAM_BYTES = 1_280
"""What the benchmark application needs beside the arena at the least: frame buffers, static data and its stack."""

APPLICATION_CODE_BYTES = 4_096
"""What the application and the smallest kernels need in flash beside the weights, at the least."""


@dataclass(frozen=True)
class Fit:
    """Bytes that a model with the benchmark application needs at the least, and bytes that the board has."""

    ram_needed: int
    ram_available: int
    flash_needed: int
    flash_available: int

    @property
    def ok(self) -> bool:
        """Whether both fit."""
        return self.ram_needed <= self.ram_available and self.flash_needed <= self.flash_available


def measure_fit(board: Board, arena_bytes: int, weight_bytes: int) -> Fit:
    """Compare a model's needs with a board's memory."""
    return Fit(
        ram_needed=arena_bytes + APPLICATION_RAM_BYTES,
        ram_available=board.ram.size,
        flash_needed=weight_bytes + APPLICATION_CODE_BYTES,
        flash_available=board.flash.size,
    )


def check_fit(board: Board, arena_bytes: int, weight_bytes: int) -> None:
    """Raise FitError, with what is missing and by how much, unless the model can fit the board."""
    fit = measure_fit(board, arena_bytes, weight_bytes)
    missing = [
        f"{kind} needs {parts} = {needed:,} bytes, the board has {available:,}: {needed - available:,} missing"
        for kind, parts, needed, available in (
            (
                "RAM",
                f"arena {arena_bytes:,} + application {APPLICATION_RAM_BYTES:,}",
                fit.ram_needed,
                fit.ram_available,
            ),
            (
                "flash",
                f"weights {weight_bytes:,} + code at least {APPLICATION_CODE_BYTES:,}",
                fit.flash_needed,
                fit.flash_available,
            ),
        )
        if needed > available
    ]
    if missing:
        raise FitError(
            f"the model does not fit: {'; '.join(missing)}",
            where=board.name,
            hint="choose a larger board (`tinyml boards`), or shrink the model: fewer channels, a smaller input",
        )
