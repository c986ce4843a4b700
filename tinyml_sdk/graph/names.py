"""What a model is called: in messages and comments, and as a prefix of C identifiers and files."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["RESERVED", "identifier_from", "printable"]

_C_HEADERS = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype"""
_PROJECT_FILES = """app app_config arduino chip console cortex_m counter fault frame kernels little_endian main port
    print protocol riscv rp2040 small_code startup system tensors"""
RESERVED = frozenset((_C_HEADERS + " " + _PROJECT_FILES).split())
"""Names that headers, files or functions beside the model have: `port.h` would hide the application's."""


def identifier_from(source: str) -> str:
    """A C identifier made of a file name: `Kws v2.tflite` → `kws_v2`, `port.tflite` → `model_port`."""
    stem = re.sub(r"[^a-z0-9]+", "_", Path(source).stem.lower()).strip("_") or "model"
    return stem if stem[0].isalpha() and stem not in RESERVED else f"model_{stem}"


def printable(source: str) -> str:
    """A file name as text of one line: what cannot be printed, and bytes that are no UTF-8, become `?`."""
    return "".join(character if character.isprintable() else "?" for character in source)
