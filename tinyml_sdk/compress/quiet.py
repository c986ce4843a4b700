"""TensorFlow imported without its greetings on stderr, which no log level turns off."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["import_tensorflow"]


def import_tensorflow() -> None:
    """Import TensorFlow and Keras with it as its backend. What Python writes to stderr meanwhile is seen."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    python_stderr = sys.stderr
    try:
        kept = os.dup(2)
    except OSError:  # closed
        import keras

        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="replace", buffering=1) as stream:
            if _descriptor(python_stderr) == 2:
                sys.stderr = stream
            os.dup2(nothing, 2)
            try:
                import keras
                import tensorflow as tf

                tf.constant(0)  # greets once more when it looks for devices
                del keras
            finally:  # before the stream is closed: a timer's thread may be about to write
                sys.stderr = python_stderr
    finally:
        os.dup2(kept, 2)
        os.close(nothing)
        os.close(kept)


def _descriptor(stream: Any) -> int | None:
    try:
        found: int = stream.fileno()
    except (AttributeError, OSError):  # None, or something in memory
        return None
    return found
