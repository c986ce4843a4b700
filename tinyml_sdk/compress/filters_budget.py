"""How many channels of each group to keep, so that a model stays within a budget of MACs or bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .channels import Analysis, Group
from .macs import LayerCost, layer_costs

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

    The importance of channels is their share of their group's total, so that groups can be compared; what a step saves
    is counted with what has been removed so far. A group with a single multiple left is left alone.

    Args:
        model: The model.
        analysis: Its analysis.
        scores: By `importance.filter_scores`.
        sizes: How many channels of each group to begin with.
        fixed: Groups to leave at that.
        multiple: Channels to a step; the first may be smaller, to get to a multiple.
        budget: What to stay within.

    Raises:
        InputError: the budget is out of reach. It says the least that can be reached.
    """
    costs = layer_costs(model)
    left = dict(sizes)
    order = {group: np.argsort(-values, kind="stable") for group, values in scores.items()}
    loss_of = {group: _losses(values[order[group]]) for group, values in scores.items()}
    stays = analysis.stays({group: order[group][:count] for group, count in left.items()})
    cost = _total(costs, analysis, stays, budget)
    while cost > budget.most:
        best: tuple[float, Group, int, npt.NDArray[np.bool_], int] | None = None
        for group in analysis.groups:
            count = (left[group] - 1) // multiple * multiple
            if group in fixed or count < multiple:
                continue
            smaller = stays.copy()
            smaller[_numbers(analysis, group, order[group][count : left[group]])] = False
            then = _total(costs, analysis, smaller, budget)
            lost = loss_of[group][count] - loss_of[group][left[group]]
            price = float(lost) / max(cost - then, 1e-9)
            if best is None or price < best[0]:
                best = (price, group, count, smaller, then)
        if best is None:
            raise InputError(
                f"{budget.most} is out of reach: the least is {cost}",
                where=f"the most {budget.what}",
                hint="allow that much, take a smaller multiple, or start from a smaller model",
            )
        _, group, left[group], stays, cost = best
    return left


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


def _numbers(analysis: Analysis, group: Group, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The channel numbers at places of a group."""
    chosen: npt.NDArray[np.bool_] = (analysis.group_of == group.index) & np.isin(analysis.place_of, places)
    return chosen


def _total(costs: tuple[LayerCost, ...], analysis: Analysis, stays: npt.NDArray[np.bool_], budget: Budget) -> int:
    place = 0 if budget.what == "macs" else 1
    return sum(cost.with_channels(analysis, stays)[place] for cost in costs)
