"""Which weights magnitude pruning removes: masks for kernels, in numpy.

Kernels here have the shape (…, input channels, output channels), as Keras's dense and convolutional ones do. Patterns
lie along the input channels, which an int8 kernel reads one after the other: TFLite stores (outputs, …, inputs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import InputError

__all__ = ["Blocks", "NOfM", "Norm", "PruningTarget", "Scope", "parse_pattern"]

Array = npt.NDArray[Any]
Masks = dict[str, npt.NDArray[np.bool_]]
Scope = Literal["global", "layer"]
Norm = Literal["l1", "l2"]

SCOPES = ("global", "layer")
NORMS = ("l1", "l2")


@dataclass(frozen=True)
class NOfM:
    """At most `kept` of each `group` consecutive input channels are not zero ("2:4"), at each kernel position.

    Where the group does not divide the channels, the last group is a shorter one that also keeps `kept`: it is what a
    kernel sees that pads the channels with zeros.
    """

    kept: int
    group: int


@dataclass(frozen=True)
class Blocks:
    """Blocks of `outputs` x `inputs` channels ("1x4") are zero or kept as a whole, at each kernel position.

    Where the channels are not a multiple, the last block is smaller. Those of the kernels (`ops/sparse/lists.py`) lie
    along the same axis and begin anywhere.
    """

    outputs: int
    inputs: int


Pattern = NOfM | Blocks


def parse_pattern(text: str) -> Pattern:
    """`N:M` or `RxC` as a pattern.

    Raises:
        InputError: it is neither, or would keep everything or nothing.
    """
    found = re.fullmatch(r"(\d{1,3})([:x])(\d{1,3})", text)
    if found:
        first, second = int(found[1]), int(found[3])
        if found[2] == ":" and 0 < first < second:
            return NOfM(first, second)
        if found[2] == "x" and first > 0 and second > 0:
            return Blocks(first, second)
    raise InputError(
        f"{text!r} is no pattern of sparsity",
        where="prune weights",
        hint="give '2:4' (2 of 4 kept), '1:4', or blocks of output x input channels such as '1x4'",
    )


@dataclass(frozen=True)
class PruningTarget:
    """How much to remove, from where. Checked when it is made.

    Attributes:
        sparsity: Share of weights (of blocks, with such a pattern) that will be zero, zeros that are there included.
        threshold: Or else: weights of a magnitude below become zero.
        pattern: `N:M` says how much by itself; blocks need a sparsity.
        scope: Whether layers compete for what is kept, or each has the same sparsity. Magnitudes are compared as they
            are, so `global` takes more from layers with small weights.
        overrides: Sparsity of single layers, which then do not compete; 0 leaves a layer alone.
        norm: By which blocks are ranked.

    Raises:
        InputError: an option is out of range, or two contradict each other.
    """

    sparsity: float | None = None
    threshold: float | None = None
    pattern: Pattern | None = None
    scope: Scope = "global"
    overrides: Mapping[str, float] = field(default_factory=dict)
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        for value, choices, what in ((self.scope, SCOPES, "scope"), (self.norm, NORMS, "norm")):
            if value not in choices:
                raise _bad(f"{value!r} is no {what}", f"choose one of {', '.join(choices)}")
        given = [self.sparsity is not None, self.threshold is not None, isinstance(self.pattern, NOfM)]
        if sum(given) != 1:
            raise _bad(
                "it must be said how much to remove, and only once",
                "give one of sparsity, threshold, or a pattern N:M; blocks (1x4) go with a sparsity",
            )
        if self.sparsity is not None and not 0 < self.sparsity < 1:
            raise _bad(f"a sparsity of {self.sparsity:g}", "give a share above 0 and below 1, such as 0.8")
        if self.threshold is not None and not 0 < self.threshold < np.inf:
            raise _bad(f"a threshold of {self.threshold:g}", "give a magnitude above 0, in the units of the weights")
        if self.threshold is not None and self.pattern is not None:
            raise _bad("blocks have no threshold", "give a sparsity with the pattern, or leave the pattern out")
        for layer, sparsity in self.overrides.items():
            if not 0 <= sparsity < 1:
                raise _bad(f"a sparsity of {sparsity:g} for layer {layer!r}", "give a share below 1; 0 leaves it alone")
            if isinstance(self.pattern, NOfM) and sparsity:
                raise _bad(
                    f"a sparsity for layer {layer!r}, which N:M decides", "only 0, to leave it alone, goes with N:M"
                )

    def masks(self, kernels: Mapping[str, Array], share: float = 1.0) -> Masks:
        """Which weights stay, by layer.

        The smallest go first; of equal ones the first. A layer that competes for a sparsity keeps at the least its
        greatest weight (or block), so that none is cut off.

        Args:
            kernels: Values by layer, (…, inputs, outputs).
            share: How much of what is to go goes now, from 0 to 1: the schedule's. Weights that are zero go first, so
                what one mask removed the next removes too.

        Returns:
            True for what stays, in the kernels' shapes. With a sparsity and without blocks, exactly `sparsity` x
            weights are False, rounded to the nearest.
        """
        scores = {layer: self._scores(values) for layer, values in kernels.items()}
        masks: Masks = {}
        for pool, sparsity in self._pools(kernels):
            gone = self._removed([scores[layer] for layer in pool], sparsity, share)
            for layer, removed in zip(pool, gone, strict=True):
                masks[layer] = ~self._spread(removed, kernels[layer].shape)
        return {layer: masks[layer] for layer in kernels}

    def _pools(self, layers: Mapping[str, Any]) -> list[tuple[list[str], float | None]]:
        """Layers that compete with each other, and their sparsity; None where scores alone decide."""
        single = [[layer] for layer in layers if layer in self.overrides or self.scope == "layer"]
        rest = [layer for layer in layers if [layer] not in single]
        pools = [*single, rest] if rest else single
        return [(pool, self.overrides.get(pool[0], self.sparsity)) for pool in pools]

    def _scores(self, values: Array) -> Array:
        """What removing a unit costs: its magnitude."""
        if isinstance(self.pattern, Blocks):
            return _block_norms(values, self.pattern, self.norm)
        return np.abs(values)

    def _removed(self, scores: Sequence[Array], sparsity: float | None, share: float) -> list[Array]:
        if sparsity is None:
            if isinstance(self.pattern, NOfM):
                may_go = [_beyond_n(score, self.pattern) for score in scores]
            else:
                assert self.threshold is not None
                # In the weights' own precision: 0.7 as float32 is not below a threshold of 0.7.
                may_go = [score < score.dtype.type(self.threshold) for score in scores]
            count = share * sum(int(np.count_nonzero(part)) for part in may_go)
        else:
            may_go = [_all_but_the_greatest(score) for score in scores]
            count = share * sparsity * sum(score.size for score in scores)
        return _smallest(scores, may_go, int(np.floor(count + 0.5)))

    def _spread(self, removed: Array, shape: tuple[int, ...]) -> Array:
        """From units to weights."""
        if not isinstance(self.pattern, Blocks):
            return removed
        *_, inputs, outputs = shape
        rows = removed.repeat(self.pattern.inputs, axis=-2).repeat(self.pattern.outputs, axis=-1)
        return rows[..., :inputs, :outputs]


def _bad(message: str, hint: str) -> InputError:
    return InputError(message, where="prune weights", hint=hint)


def _smallest(scores: Sequence[Array], may_go: Sequence[Array], count: int) -> list[Array]:
    """True for the `count` smallest scores of all arrays together, as far as they may go."""
    flat = np.concatenate([np.where(free, score, np.inf).ravel() for score, free in zip(scores, may_go, strict=True)])
    count = min(count, int(np.count_nonzero(np.isfinite(flat))))
    removed = np.zeros(flat.shape, np.bool_)
    removed[np.argsort(flat, kind="stable")[:count]] = True
    ends = np.cumsum([score.size for score in scores])[:-1]
    return [part.reshape(score.shape) for part, score in zip(np.split(removed, ends), scores, strict=True)]


def _all_but_the_greatest(score: Array) -> Array:
    free = np.ones(score.shape, np.bool_)
    free.flat[np.argmax(score)] = False
    return free


def _beyond_n(magnitudes: Array, pattern: NOfM) -> Array:
    """True for all but the `kept` greatest of each group of input channels; of equal ones the first go."""
    *_, inputs, outputs = magnitudes.shape
    padded = _padded(magnitudes, (pattern.group, 1), fill=-1.0)  # padding goes before zeros do
    groups = padded.reshape(*padded.shape[:-2], -1, pattern.group, outputs)
    rank = groups.argsort(axis=-2, kind="stable").argsort(axis=-2)
    beyond: Array = (rank < pattern.group - pattern.kept).reshape(padded.shape)
    return beyond[..., :inputs, :]


def _block_norms(values: Array, blocks: Blocks, norm: Norm) -> Array:
    """(…, input blocks, output blocks)."""
    padded = np.abs(_padded(values, (blocks.inputs, blocks.outputs)))
    *rest, inputs, outputs = padded.shape
    parts = padded.reshape(*rest, inputs // blocks.inputs, blocks.inputs, outputs // blocks.outputs, blocks.outputs)
    if norm == "l1":
        return np.asarray(parts.sum(axis=(-3, -1)))
    return np.asarray(np.sqrt(np.square(parts).sum(axis=(-3, -1))))


def _padded(values: Array, multiple: tuple[int, int], fill: float = 0.0) -> Array:
    """With its last two axes grown to multiples."""
    more = [(0, -size % unit) for size, unit in zip(values.shape[-2:], multiple, strict=True)]
    return np.pad(values, [(0, 0)] * (values.ndim - 2) + more, constant_values=fill)
