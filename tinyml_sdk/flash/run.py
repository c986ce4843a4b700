"""Runs a program that takes long, and reads how far it is from the percentages that it prints."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..toolchains.process import kill_group

__all__ = ["Ran", "run_with_progress"]

_PERCENT = re.compile(rb"(\d{1,3})(?:\.\d+)?\s?%")
_UNFINISHED = re.compile(rb"\d[\d.]{0,8}\s?\Z")
"""What may go on as a percentage in the next piece that is read."""

_SLICE_S = 0.2
_KEPT_BYTES = 200_000


@dataclass(frozen=True)
class Ran:
    """A program that has ended. `output` is what it wrote to stdout and stderr, in that order of time."""

    command_line: str
    returncode: int
    output: str
    timed_out: bool


def run_with_progress(command: Sequence[str], cwd: Path, deadline: float, percent: Callable[[int], None]) -> Ran:
    """Run a program with no input, in a process group of its own that is killed whole when the deadline passes.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        deadline: Seconds it may take.
        percent: Called with 0 to 100 when the program says how far it is, and with the last number again now and
            then: what it raises ends the program.
    """
    end = time.monotonic() + deadline
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "COLUMNS": "200", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output, unfinished = bytearray(), b""
    reached = 0
    timed_out = False
    try:
        while True:
            left = end - time.monotonic()
            if select.select([process.stdout], [], [], max(0.0, min(_SLICE_S, left)))[0]:
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                output += chunk
                del output[:-_KEPT_BYTES]
                said = unfinished + chunk
                for number in _PERCENT.findall(said):
                    reached = min(100, int(number))
                    percent(reached)
                unfinished = b"".join(_UNFINISHED.findall(said))
            if left <= 0:
                timed_out = True
                kill_group(process.pid)
                break
            percent(reached)
    except BaseException:
        kill_group(process.pid)
        raise
    finally:
        process.wait()
        process.stdout.close()
    text = output.decode("utf-8", "replace").replace("\r", "\n")
    return Ran(shlex.join(command), process.returncode, text, timed_out)
