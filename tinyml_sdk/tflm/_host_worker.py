"""Finds the least arena of TFLM's interpreter on this machine, for `host_arena.py`. Started as a script.

Reads the .tflite file from stdin and prints the least number of bytes, a multiple of 16, in which it is set up and runs
once. Each try is a process of its own: in too little memory the interpreter says so, or dies.
"""

from __future__ import annotations

import os
import resource
import sys

# A script's own folder comes first on the path, and its neighbours must not stand in for standard modules.
if sys.path[0] == sys.argv[0].rpartition("/")[0]:
    del sys.path[0]

from typing import Any

from tflite_micro.python.tflite_micro import runtime

STEP = 16
ARENA_LIMIT = 64 << 20

build: Any = runtime.Interpreter.from_bytes  # no types in the wheel


def runs(model: bytes, arena_bytes: int) -> bool:
    """Whether the interpreter sets the model up and runs it in that much memory."""
    child = os.fork()
    if child == 0:
        try:
            build(model, arena_size=arena_bytes).invoke()
        except RuntimeError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def main() -> int:
    """Print the least arena, or 0 where the model does not run in any."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    model = sys.stdin.buffer.read()
    said = os.dup(1)
    os.dup2(2, 1)  # the interpreter talks
    low, high = 0, 4096
    while high < ARENA_LIMIT and not runs(model, high):
        low, high = high, 2 * high
    if high >= ARENA_LIMIT:
        low = high = 0
    while high - low > STEP:
        middle = low + (high - low) // (2 * STEP) * STEP
        low, high = (low, middle) if runs(model, middle) else (middle, high)
    os.write(said, f"{high}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
