"""Whether a firmware reads and writes words where words lie. Armv6-M faults where it does not; unicorn goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import unicorn

from tinyml_sdk.targets.builtin.machine import Machine


@contextmanager
def accesses_by_alignment() -> Iterator[dict[bool, int]]:
    """Within the block, the accesses of all emulated boards are counted: those that are aligned, and those not.

    For cores without IT blocks: unicorn loses their state where a hook is called in one.
    """
    counts = {True: 0, False: 0}
    make_engine = Machine._make_engine

    def count(_engine: Any, _kind: int, address: int, size: int, _value: int, _user: object) -> None:
        counts[address % size == 0] += 1

    def hooked(machine: Machine) -> Any:
        engine = make_engine(machine)
        kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        for region in (machine._board.flash, machine._board.ram):
            engine.hook_add(kinds, count, begin=region.origin, end=region.end - 1)
        return engine

    with patch.object(Machine, "_make_engine", hooked):
        yield counts
