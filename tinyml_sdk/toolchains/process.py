"""Runs a program to its end or to a deadline, and leaves nothing of it behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["VERSION_DEADLINE_S", "Completed", "kill_group", "run_program"]

VERSION_DEADLINE_S = 120.0
"""For a program to say which it is. PlatformIO takes seconds of processor time, of which a busy machine gives few."""


@dataclass(frozen=True)
class Completed:
    """A program that has ended. `returncode` is negative where a signal ended it."""

    command_line: str
    returncode: int
    stdout: str
    stderr: str
    timed_out: bool = False


def run_program(
    command: Sequence[str],
    *,
    deadline: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program with no input, in a process group of its own that is killed whole when the deadline passes.

    Args:
        command: Program and arguments.
        deadline: Seconds it may take.
        cwd: Where it runs.
        environment: Variables to set besides those of this process.

    Messages are asked for in English (LC_ALL=C), as they are searched for errors.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    timed_out = False
    try:
        stdout, stderr = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        timed_out = True
        kill_group(process.pid)
        stdout, stderr = process.communicate()
    except BaseException:
        kill_group(process.pid)
        process.wait()
        raise
    return Completed(shlex.join(command), process.returncode, stdout, stderr, timed_out)


def kill_group(leader: int) -> None:
    """End a process and all that it has started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
