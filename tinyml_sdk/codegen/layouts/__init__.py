"""Project folders as each build system's developers expect them. Adding one is a new file and a line in `LAYOUTS`."""

from __future__ import annotations

from collections.abc import Callable

from ...boards.model import ProjectKind
from .arduino import arduino
from .baremetal import baremetal, host_program
from .base import Application, Contents, Layout
from .cmake import cmake
from .esp_idf import esp_idf
from .platformio import platformio

__all__ = ["LAYOUTS", "Application", "Contents", "Layout", "host_program"]

LAYOUTS: dict[ProjectKind, Callable[[Contents], Layout]] = {
    "baremetal": baremetal,
    "cmake": cmake,
    "platformio": platformio,
    "esp_idf": esp_idf,
    "arduino": arduino,
}
"""By the names that `--project` and the boards' `projects` use."""
