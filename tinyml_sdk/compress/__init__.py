"""Keras in, smaller Keras out: pruning, low rank, clustering, distillation, quantization-aware training.

A recipe lists the stages (`recipe.py`); `compress` runs them and measures the int8 model after each.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pipeline import compress
    from .recipe import Recipe, load_recipe
    from .result import CompressionResult, Cost, StageReport

__all__ = ["CompressionResult", "Cost", "Recipe", "StageReport", "compress", "load_recipe"]

_HOMES = {"compress": "pipeline", "Recipe": "recipe", "load_recipe": "recipe"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES.get(name, 'result')}", __name__), name)
