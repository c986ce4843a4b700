"""`tinyml`, and the same as `python -m tinyml_sdk`."""

from __future__ import annotations

import sys

__all__ = ["start"]


def start() -> int:
    """Run the command line and return its exit code. Ctrl-C while it is still being imported ends it quietly too."""
    try:
        from .cli import main
    except KeyboardInterrupt:
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(start())
