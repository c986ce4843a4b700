"""Structured pruning: whole filters and units leave a Keras model, by how much they matter."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..replay import flattened
from .budget import Budget, keep_within
from .channels import Analysis, Group, Locked, analyze_channels, checked
from .importance import Importance, filter_scores
from .rebuild import rebuild
from .samples import as_columns

__all__ = ["MIN_SAMPLES", "FilterPruning", "GroupReport", "prune_filters"]

MIN_SAMPLES = 10
"""Scores of activations over fewer samples say little."""

Sizes = dict[Group, int]


@dataclass(frozen=True)
class GroupReport:
    """What happened to filters that go together.

    Attributes:
        layers: The layers that lost them, each as many.
        before: How many there were; see `channels.Group.size`.
        after: How many are left.
    """

    layers: tuple[str, ...]
    before: int
    after: int


@dataclass(frozen=True, eq=False)
class FilterPruning:
    """A smaller model and how it came about.

    Attributes:
        model: New, uncompiled; layers keep their names.
        groups: In the model's order, those left whole included.
        locked: Layers of which nothing, or not all, can be removed, and why.
    """

    model: Any
    groups: tuple[GroupReport, ...]
    locked: tuple[Locked, ...]


def prune_filters(
    model: Any,
    *,
    ratio: float | None = None,
    max_macs: int | None = None,
    max_weight_bytes: int | None = None,
    importance: Importance = "l2",
    overrides: Mapping[str, float] | None = None,
    multiple: int = 4,
    inputs: Any = None,
    labels: npt.ArrayLike | None = None,
    loss: Callable[[Any, Any], Any] | str | None = None,
    samples: int = 256,
) -> FilterPruning:
    """Remove the least important filters and units, so that the model is physically smaller.

    Give exactly one of `ratio`, `max_macs` and `max_weight_bytes`.

    Args:
        model: Functional or Sequential Keras model. It is not changed.
        ratio: Share of each group's channels to remove, 0 <= ratio < 1.
        max_macs: Remove until one inference has at most so many multiply-accumulates (`macs.count_macs`).
        max_weight_bytes: Remove until the int8 weights have at most so many bytes (`macs.weight_bytes`).
        importance: How to score channels, see `importance.layer_scores`.
        overrides: Ratios of single layers, by name; with a budget too, where they are fixed. A ratio counts for all
            layers whose filters go together with the layer's.
        multiple: The number of channels kept is rounded up to a multiple of this, as kernels like it, and is at least
            one multiple, but never more than there were.
        inputs: Samples (N, …), at least 10; for `activation`, `gradient` and `hessian`.
        labels: As the loss takes them, (N, …); for `gradient` and `hessian`.
        loss: See `importance.layer_scores`.
        samples: How many of the samples to use at the most.

    Raises:
        InputError: options that contradict each other or are out of range, an override of a layer that does not
            exist or is locked, nothing to prune, NaN weights, missing or unusable samples or labels, a budget out of
            reach (it says what is reachable).
    """
    targets = {"ratio": ratio, "max_macs": max_macs, "max_weight_bytes": max_weight_bytes}
    _check_options(targets, multiple)
    checked(model)
    _check_weights(model)
    analysis = analyze_channels(model)
    if not analysis.groups:
        raise InputError("has no filters that can be removed", where=str(model.name), hint=_locks(analysis.locked))
    fixed = _fixed_ratios(model, analysis, overrides or {})
    if importance in {"activation", "gradient", "hessian"}:
        _check_sample_count(len(as_columns(flattened(model), inputs, importance)[0]))
    scores = filter_scores(model, analysis, importance, inputs=inputs, labels=labels, loss=loss, samples=samples)
    sizes = {
        group: _rounded(group.size * (1 - fixed.get(group, ratio or 0.0)), multiple, group.size)
        for group in analysis.groups
    }
    if ratio is None:
        budget = Budget("macs", max_macs) if max_macs is not None else Budget("weight bytes", max_weight_bytes or 0)
        sizes = keep_within(model, analysis, scores, sizes, [*fixed], multiple, budget)
    kept = {group: _best(scores[group], size) for group, size in sizes.items()}
    reports = tuple(GroupReport(group.layers, group.size, sizes[group]) for group in analysis.groups)
    return FilterPruning(rebuild(model, analysis, kept), reports, analysis.locked)


def _rounded(wanted: float, multiple: int, size: int) -> int:
    """Up to a multiple. A hair is taken off first: 10 * (1 - 0.6) is 4.000000000000001."""
    count = max(1, int(np.ceil(round(wanted, 9) / multiple))) * multiple
    return min(count, size)


def _best(scores: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """The places of the highest scores, in order; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


# -- checks ---------------------------------------------------------------------------------------------------------


def _check_options(targets: Mapping[str, float | None], multiple: int) -> None:
    given = {name: value for name, value in targets.items() if value is not None}
    if len(given) != 1:
        raise InputError(
            f"{' and '.join(given) or 'nothing'} says how much to prune, and exactly one of {', '.join(targets)} must",
            hint="for half of all filters give ratio=0.5",
        )
    (name, value), *_ = given.items()
    if name == "ratio":
        _check_ratio(value, "ratio")
    elif value < 1:
        raise InputError(f"{value} leaves no model", where=name, hint="give what the board can afford")
    if multiple < 1:
        raise InputError(f"{multiple} is no number to round to", where="multiple", hint="take 4, or 1 not to round")


def _check_ratio(ratio: float, where: str) -> None:
    if not 0 <= ratio < 1:
        what = "removes all filters" if ratio == 1 else "is not a share from 0 to below 1"
        raise InputError(f"{ratio} {what}", where=where, hint="the ratio is what is removed: 0.5 keeps half")


def _check_weights(model: Any) -> None:
    for weight in model.weights:
        values = np.asarray(weight)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise InputError(
                "has weights that are NaN or infinite",
                where=f"{model.name}: {weight.path}",
                hint="training diverged: train again with a lower learning rate, or take an earlier checkpoint",
            )


def _check_sample_count(count: int) -> None:
    if count < MIN_SAMPLES:
        raise InputError(
            f"{count} samples are too few, {MIN_SAMPLES} the least", where="inputs", hint="give 100 or more"
        )


def _fixed_ratios(model: Any, analysis: Analysis, overrides: Mapping[str, float]) -> dict[Group, float]:
    """The ratios of groups that are named through one of their layers."""
    fixed: dict[Group, float] = {}
    said_by: dict[Group, str] = {}
    for layer, ratio in overrides.items():
        _check_ratio(ratio, f"override of {layer!r}")
        groups = [group for group in analysis.groups if layer in group.layers]
        if not groups:
            raise _no_such_layer(model, analysis, layer)
        for group in groups:
            if fixed.setdefault(group, ratio) != ratio:
                raise InputError(
                    f"is {ratio}, and that of {said_by[group]!r}, whose filters go together with these, {fixed[group]}",
                    where=f"override of {layer!r}",
                    hint="give one of the two",
                )
            said_by.setdefault(group, layer)
    return fixed


def _no_such_layer(model: Any, analysis: Analysis, layer: str) -> InputError:
    where = f"override of {layer!r}"
    reasons = {locked.layer: locked.reason for locked in analysis.locked}
    if layer in reasons:
        return InputError(f"its filters must stay: {reasons[layer]}", where=where, hint="leave it out")
    prunable = sorted({name for group in analysis.groups for name in group.layers})
    names = {one.name for one in flattened(model).layers}
    if layer in names:
        return InputError("has no filters of its own", where=where, hint=f"name one of {_listed(prunable)}")
    close = difflib.get_close_matches(layer, prunable, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"layers that can be pruned: {_listed(prunable)}"
    return InputError("there is no such layer", where=where, hint=hint)


def _locks(locked: tuple[Locked, ...]) -> str:
    if not locked:
        return "it has no convolutions or dense layers"
    return "; ".join(f"{one.layer}: {one.reason}" for one in locked[:5])


def _listed(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
