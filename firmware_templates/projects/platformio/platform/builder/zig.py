"""Runs zig, one at a time in a project: `zig.py LOCK ZIG ARGUMENTS…`.

Two that compile at once in one cache can wait for each other for ever (seen with 0.15.2), and PlatformIO and Arduino
start as many as there are processors.
"""

import subprocess
import sys

try:
    import fcntl
except ImportError:  # Windows, which has other locks
    fcntl = None


def main():
    """Exits as zig does."""
    lock, *command = sys.argv[1:]
    with open(lock, "w", encoding="utf-8") as stream:  # noqa: PTH123 - as short as the rest of a build script
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main()
