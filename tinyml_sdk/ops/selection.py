"""Which kernel computes a layer: of those that the core can run and the layer allows, the cheapest.

Cheapest in instructions; with `--optimize size`, a kernel that no other layer needs also costs its code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .base import KernelChoice, Layer, OpView

__all__ = ["Candidate", "Refusal", "choose_kernel", "price_of_byte"]

_PRICE_OF_BYTE = 1e-4
"""Share of an inference that a byte of code is worth with `--optimize size`: a hundred bytes, a hundredth."""

CODE_BYTES = 400
"""Of a kernel, where no candidate says better."""


@dataclass(frozen=True)
class Candidate:
    """A way to compute a layer.

    Attributes:
        layer: The layer with this kernel.
        cost: Estimated instructions of one inference.
        requires: Features that the core must have (`boards/cores.py`).
        code_bytes: About what the first layer with this kernel adds to the firmware.
    """

    layer: Layer
    cost: float
    requires: frozenset[str] = frozenset()
    code_bytes: int = CODE_BYTES


@dataclass(frozen=True)
class Refusal:
    """A kernel that cannot compute a layer, and which of its conditions fails."""

    kernel: str
    reason: str


def choose_kernel(view: OpView, candidates: Iterable[Candidate | Refusal]) -> Layer:
    """The cheapest candidate that the core can run. At least one must be portable."""
    candidates = tuple(candidates)
    possible = [candidate for candidate in candidates if isinstance(candidate, Candidate)]
    best = min(
        (candidate for candidate in possible if candidate.requires <= view.core_features),
        key=lambda candidate: candidate.cost + _code_price(view, candidate),
    )
    return replace(best.layer, choices=tuple(_choice(view, candidate, best) for candidate in candidates))


def price_of_byte(layers: Iterable[Layer]) -> float:
    """Instructions of an inference that a byte of code is worth, where code shall be small. Never 0."""
    return max(
        1.0, _PRICE_OF_BYTE * sum(choice.cost or 0 for layer in layers for choice in layer.choices if choice.taken)
    )


def _code_price(view: OpView, candidate: Candidate) -> float:
    """What the code of a kernel that no other layer needs is worth in instructions."""
    shared = candidate.layer.kernel in view.sharing.kernels
    return 0.0 if shared else view.sharing.price_of_byte * candidate.code_bytes


def _choice(view: OpView, candidate: Candidate | Refusal, best: Candidate) -> KernelChoice:
    if isinstance(candidate, Refusal):
        return KernelChoice(candidate.kernel, None, False, candidate.reason)
    missing = sorted(candidate.requires - view.core_features)
    if missing:
        reason = f"the core has no {' and '.join(missing)}"
    elif candidate is best:
        reason = "the cheapest"
    elif candidate.cost < best.cost:
        reason = f"no other layer needs it, and it has about {candidate.code_bytes} bytes"
    else:
        reason = f"costs {candidate.cost / best.cost:.1f} times as much"
    return KernelChoice(candidate.layer.kernel, round(candidate.cost), candidate is best, reason)
