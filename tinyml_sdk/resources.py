"""Where the firmware templates and board files are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

__all__ = ["boards_dir", "templates_dir"]

_PACKAGE = Path(__file__).resolve().parent


def _resource(name: str) -> Path:
    packaged = _PACKAGE / "_data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def boards_dir() -> Path:
    """The folder of the board YAML files that ship with the package."""
    return _resource("boards")


def templates_dir() -> Path:
    """The folder `firmware_templates`: kernels, app, ports and Jinja templates."""
    return _resource("firmware_templates")
