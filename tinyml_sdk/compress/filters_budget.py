"""How many channels of each group to keep, so that a model stays within a budget of MACs or bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .channels import Analysis, Group
from .macs import layer_costs

__all__ = ["Budget", "keep_within"]

Scores = Mapping[Group, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Budget:
    """At most `most` multiply-accumulates of an inference, or bytes of int8 weights."""

    what: Literal["macs", "weight bytes"]
    most: int


def keep_within(
    model: Any,
    analysis: Analysis,
    scores: Scores,
    sizes: Mapping[Group, int],
    fixed: Collection[Group],
    multiple: int,
    budget: Budget,
) -> dict[Group, int]:
    """Remove `multiple` channels at a time, always where a unit of the budget costs the least importance.

    What a step loses is relative to what its group has left, so that groups can be compared and none is emptied for the
    sake of the others (`_losses`). The last step may have saved more than was needed: what then fits again is given
    back, where it gains the most. A group's last multiple stays.

    Args:
        model: The model.
        analysis: Its analysis.
        scores: By `importance.filter_scores`.
        sizes: How many channels of each group to begin with.
        fixed: Groups to leave at that.
        multiple: Channels to a step; a group's first may be smaller, to get to a multiple.
        budget: What to stay within.

    Raises:
        InputError: the budget is out of reach. It says the least that can be reached.
    """
    search = _Search(model, analysis, scores, sizes, budget)
    free = [group for group in analysis.groups if group not in fixed]
    while search.cost > budget.most:
        down = [(group, _below(search.left[group], multiple)) for group in free]
        steps = [search.step(group, count) for group, count in down if count > 0]
        if not steps:
            raise InputError(
                f"{budget.most} is out of reach: the least is {search.cost}",
                where=f"the most {budget.what}",
                hint="allow that much, take a smaller multiple, or start from a smaller model",
            )
        search.take(min(steps, key=lambda step: step.loss / max(search.cost - step.cost, 1e-9)))
    while True:
        up = [(group, min(_below(search.left[group], multiple) + 2 * multiple, sizes[group])) for group in free]
        steps = [search.step(group, count) for group, count in up if count > search.left[group]]
        steps = [step for step in steps if step.cost <= budget.most]
        if not steps:
            return search.left
        search.take(min(steps, key=lambda step: step.loss))


def _below(count: int, multiple: int) -> int:
    """The next multiple below a count."""
    return (count - 1) // multiple * multiple


@dataclass(frozen=True)
class _Step:
    """A group at another size: what the model then costs, and what is lost by it (negative if gained)."""

    group: Group
    count: int
    cost: int
    loss: float


class _Search:
    """How many channels are left of each group, and what the model costs with them."""

    def __init__(
        self, model: Any, analysis: Analysis, scores: Scores, sizes: Mapping[Group, int], budget: Budget
    ) -> None:
        self.left = dict(sizes)
        self._analysis = analysis
        self._layers = layer_costs(model)
        self._place = 0 if budget.what == "macs" else 1
        self._order = {group: np.argsort(-values, kind="stable") for group, values in scores.items()}
        self._losses = {group: _losses(values[self._order[group]]) for group, values in scores.items()}
        self.cost = self._cost(self.left)

    def step(self, group: Group, count: int) -> _Step:
        losses = self._losses[group]
        loss = float(losses[count] - losses[self.left[group]])
        return _Step(group, count, self._cost(self.left | {group: count}), loss)

    def take(self, step: _Step) -> None:
        self.left[step.group] = step.count
        self.cost = step.cost

    def _cost(self, left: Mapping[Group, int]) -> int:
        stays = self._analysis.stays({group: self._order[group][:count] for group, count in left.items()})
        return sum(layer.with_channels(self._analysis, stays)[self._place] for layer in self._layers)


def _losses(descending: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What keeping the best k of a group's channels loses, for k from 0 to all: -log of their share of the importance.

    The logarithm makes the last channels of a group dear: what is lost is relative to what is left. The least loss over
    all groups is the greatest product of shares.
    """
    total = descending.sum()
    if total == 0:
        return np.zeros(len(descending) + 1)
    shares = np.concatenate([[0.0], np.cumsum(descending) / total])
    losses: npt.NDArray[np.float64] = -np.log(np.maximum(shares, 1e-12))
    return losses
