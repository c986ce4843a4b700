"""Which kernel computes a layer: of those that the core can run and the layer allows, the one that serves best.

To optimize for speed is to take the fewest instructions; of a kernel over packed weights (lists of what is not zero, or
codes) only if it needs at most `CLEARLY_FASTER` times those of the best other one.

To optimize for size is the same, but that a kernel over packed weights takes precedence if its constants take fewer
bytes and it needs at most `SLOWER` times the instructions; of several the one with the fewest bytes. The code of such a
kernel is not counted layer by layer but once for the model: see `not_worth_their_code`. And of the others, a kernel
that no other layer needs also costs its code (`KernelSharing`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .base import KernelChoice, Layer, OpView

__all__ = [
    "CLEARLY_FASTER",
    "SLOWER",
    "Candidate",
    "Refusal",
    "best_candidate",
    "choose_kernel",
    "not_worth_their_code",
    "price_of_byte",
]

CLEARLY_FASTER = 0.87
"""Packed weights take more loads: on a Cortex-M4 an instruction takes 1.6 cycles on average, of the dense kernels' 1.4
(docs/sparsity.md). So they must save more instructions than that, to save time."""

SLOWER = 2.0
"""How many times as many instructions fewer bytes may cost."""

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
        packed: Whether its weights may take less than a byte each.
        note: What of the layer speaks for or against it, where the cost alone does not say.
        code_bytes: About what the first layer with this kernel adds to the firmware.
    """

    layer: Layer
    cost: float
    requires: frozenset[str] = frozenset()
    packed: bool = False
    note: str = ""
    code_bytes: int = CODE_BYTES

    @property
    def flash(self) -> int:
        """Bytes of its constants."""
        return sum(constant.values.nbytes for constant in self.layer.constants)


@dataclass(frozen=True)
class Refusal:
    """A kernel that cannot compute a layer, and which of its conditions fails."""

    kernel: str
    reason: str


def choose_kernel(view: OpView, candidates: Iterable[Candidate | Refusal]) -> Layer:
    """The best candidate that the core can run. At least one must be portable."""
    candidates = tuple(candidates)
    possible = [candidate for candidate in candidates if isinstance(candidate, Candidate)]
    possible = [candidate for candidate in possible if candidate.layer.kernel == view.only] or possible
    best = best_candidate(view, [candidate for candidate in possible if not _excluded(view, candidate)])
    return replace(best.layer, choices=tuple(_choice(view, candidate, best) for candidate in candidates))


def best_candidate(view: OpView, candidates: Sequence[Candidate]) -> Candidate:
    """By the rule above, for the view's objective."""
    packed = [candidate for candidate in candidates if candidate.packed]
    plain = [candidate for candidate in candidates if not candidate.packed]
    fastest = min(plain or packed, key=lambda candidate: _price(view, candidate))
    if not packed:
        return fastest
    if view.optimize == "speed":
        best = min(packed, key=lambda candidate: _price(view, candidate))
        return best if not plain or best.cost <= CLEARLY_FASTER * fastest.cost else fastest
    small = [each for each in packed if each.cost <= SLOWER * fastest.cost and each.flash < fastest.flash]
    return min(small, key=lambda candidate: (candidate.flash, candidate.cost), default=fastest)


def _price(view: OpView, candidate: Candidate) -> tuple[float, int]:
    """Instructions, with what code is worth that no other layer needs; then bytes of constants."""
    shared = candidate.packed or candidate.layer.kernel in view.sharing.kernels
    code = 0.0 if shared else view.sharing.price_of_byte * candidate.code_bytes
    return candidate.cost + code, candidate.flash


def price_of_byte(layers: Iterable[Layer]) -> float:
    """Instructions of an inference that a byte of code is worth, where code shall be small."""
    return max(1.0, _PRICE_OF_BYTE * sum(layer.estimate for layer in layers))


def not_worth_their_code(layers: Iterable[Layer], code_bytes: dict[str, int]) -> frozenset[str]:
    """Of the kernels whose code is given, those that save less flash in all layers together than their code takes."""
    saved: Counter[str] = Counter()
    for layer in layers:
        if layer.kernel in code_bytes:
            taken = next(choice for choice in layer.choices if choice.taken)
            others = [choice for choice in layer.choices if choice.possible and choice.kernel not in code_bytes]
            instead = min(others, key=lambda choice: choice.cost or 0)
            saved[layer.kernel] += instead.flash - taken.flash
    return frozenset(kernel for kernel, less in saved.items() if less < code_bytes[kernel])


def _excluded(view: OpView, candidate: Candidate) -> str:
    """Why a candidate is out of the question, empty where it is not."""
    missing = sorted(candidate.requires - view.core_features)
    if "scalar" in missing:
        return "it is for cores without the DSP extension"
    if missing:
        return f"the core has no {' and '.join(missing)}"
    return "its code would take more flash than its encoding saves" if candidate.layer.kernel in view.without else ""


def _choice(view: OpView, candidate: Candidate | Refusal, best: Candidate) -> KernelChoice:
    if isinstance(candidate, Refusal):
        return KernelChoice(candidate.kernel, None, False, candidate.reason)
    excluded = _excluded(view, candidate)
    if excluded:
        reason = excluded
    elif candidate is best:
        reason = "the smallest" if view.optimize == "size" and best.packed else "the cheapest"
    elif view.optimize == "size" and (best.packed or candidate.packed) and candidate.flash > best.flash:
        reason = f"takes {candidate.flash - best.flash:,} bytes more"
    elif candidate.cost < best.cost and candidate.packed:
        reason = f"costs {candidate.cost / best.cost:.2f} times as much, but loads more"
    elif candidate.cost < best.cost:
        reason = f"no other layer needs it, and it has about {candidate.code_bytes} bytes"
    else:
        reason = f"costs {candidate.cost / best.cost:.1f} times as much"
    if candidate.note and not excluded:
        reason += f": {candidate.note}"
    return KernelChoice(
        candidate.layer.kernel,
        round(candidate.cost),
        candidate is best,
        reason,
        flash=candidate.flash,
        possible=not excluded,
    )
