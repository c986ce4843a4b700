"""Which kernel computes a layer: of those that the core can run and the shape allows, the cheapest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .base import Layer, OpView

__all__ = ["Candidate", "choose_kernel"]


@dataclass(frozen=True)
class Candidate:
    """A way to compute a layer.

    Attributes:
        layer: The layer with this kernel.
        cost: Estimated instructions of one inference.
        requires: Features that the core must have (`boards/cores.py`).
    """

    layer: Layer
    cost: float
    requires: frozenset[str] = frozenset()


def choose_kernel(view: OpView, candidates: Iterable[Candidate]) -> Layer:
    """The cheapest candidate that the core can run. At least one must be portable."""
    return min(
        (candidate for candidate in candidates if candidate.requires <= view.core_features),
        key=lambda candidate: candidate.cost,
    ).layer
