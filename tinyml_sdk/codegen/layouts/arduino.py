"""An Arduino library: the model in `src/`, and two sketches as its examples, one of which is the benchmark."""

from __future__ import annotations

from ..templates import render
from .base import Contents, Layout, config_file, within
from .framework import framework_sources

__all__ = ["arduino"]

_TEMPLATES = "projects/arduino"


def arduino(contents: Contents) -> Layout:
    """For the Arduino IDE and arduino-cli (library specification 1.5)."""

    def rendered(template: str) -> str:
        return render(f"{_TEMPLATES}/{template}.j2", contents.context)

    # The Arduino builder compiles a sketch's folder `src` with all that is below it.
    benchmark = {**framework_sources("arduino", contents.app), "app_config.h": config_file(contents)}
    files = {
        "library.properties": rendered("library.properties"),
        "README.md": rendered("README.md"),
        **within("src", contents.source.files),
        "examples/RunOnce/RunOnce.ino": rendered("run_once.ino"),
        "examples/Benchmark/Benchmark.ino": rendered("benchmark.ino"),
        **within("examples/Benchmark/src", benchmark),
    }
    return Layout(files)
