"""How much each channel of a model matters: scores of its weights alone, or of what its layers do with samples.

A layer's activation is its output behind the batch normalizations and activations that follow it and nothing else: what
the rest of the model reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..replay import flattened
from .activations import activation_scores
from .channels import Analysis, Group
from .flow import kind_of

__all__ = ["IMPORTANCES", "Importance", "filter_scores", "layer_scores"]

Array: TypeAlias = "npt.NDArray[np.float64]"
Importance = Literal["l1", "l2", "geometric_median", "activation", "gradient", "hessian"]

IMPORTANCES: tuple[Importance, ...] = get_args(Importance)
"""All methods; the last three need inputs, the last two labels as well."""


def filter_scores(
    model: Any,
    analysis: Analysis,
    method: Importance,
    *,
    inputs: Any = None,
    labels: npt.ArrayLike | None = None,
    loss: Callable[[Any, Any], Any] | str | None = None,
    samples: int = 256,
) -> dict[Group, Array]:
    """Score the channels of each group: the higher, the more the model needs them.

    Each layer's scores are divided by their mean over the layer's filters in the group, so that a layer of large
    weights does not outvote the others, and averaged over the group's layers: the mean of a group's scores is 1, unless
    all are 0. Where a channel is several filters of a layer, their scores are added first.

    Args:
        model: The model that was analysed.
        analysis: By `analyze_channels`.
        method: As in `layer_scores`.
        inputs: See `layer_scores`, as for the rest.
        labels: See there.
        loss: See there.
        samples: See there.

    Returns:
        For each group float64 (group.size,), finite and not negative.

    Raises:
        InputError: as `layer_scores`.
    """
    scores = layer_scores(model, analysis, method, inputs=inputs, labels=labels, loss=loss, samples=samples)
    result = {}
    for group in analysis.groups:
        total = np.zeros(group.size)
        for layer in group.layers:
            places = analysis.places(group, layer)
            inside = places >= 0
            summed = np.bincount(places[inside], scores[layer][inside], group.size)
            total += summed / (summed.mean() or 1.0)
        result[group] = total / len(group.layers)
    return result


def layer_scores(
    model: Any,
    analysis: Analysis,
    method: Importance,
    *,
    inputs: Any = None,
    labels: npt.ArrayLike | None = None,
    loss: Callable[[Any, Any], Any] | str | None = None,
    samples: int = 256,
) -> dict[str, Array]:
    """Score the filters and units of each layer that has channels to remove.

    The weights of filter i are w_i (of a separable convolution, its pointwise kernel; biases are left out), its
    activations a_i (positions), the loss of one sample L:

    - `l1`: sum |w_i| (Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1).
    - `l2`: sqrt(sum w_i²) (He et al. 2018, Soft Filter Pruning, equation 2, with p = 2).
    - `geometric_median`: sum over j of ||w_i - w_j||_2. Small for filters near the layer's geometric median, which the
      others can stand in for (He et al. 2019, Filter Pruning via Geometric Median, equation 6).
    - `activation`: mean |a_i| over samples and positions (as the mean activation of Molchanov et al. 2017, Pruning
      Convolutional Neural Networks for Resource Efficient Inference, section 2.2, but of magnitudes).
    - `gradient`: mean over samples of ||dL/da_i||_1.
    - `hessian`: mean over samples of the sum over positions of the diagonal of d²L/da_i², in the generalized
      Gauss-Newton approximation (`filters_activations`).

    Args:
        model: The model that was analysed.
        analysis: By `analyze_channels`.
        method: One of the above.
        inputs: Samples (N, …), for several inputs a list or dictionary of them as the model takes it. Needed for
            `activation`, `gradient` and `hessian`.
        labels: What the loss takes as y_true, (N, …). Needed for `gradient` and `hessian`.
        loss: A Keras loss, its name, or a function (y_true, y_pred); None is the cross-entropy of integer labels,
            sparse categorical or, for a single sigmoid, binary.
        samples: At most this many samples are used, evenly spread over those given.

    Returns:
        For each layer of a group float64 (filters,).

    Raises:
        InputError: an unknown method, missing or unusable samples or labels, weights or scores that are not finite.
    """
    if method not in IMPORTANCES:
        raise InputError(f"importance {method!r} is not known", hint=f"take one of {', '.join(IMPORTANCES)}")
    names = list(dict.fromkeys(name for group in analysis.groups for name in group.layers))
    flat = flattened(model)
    if method in _OF_WEIGHTS:
        scores = {name: _OF_WEIGHTS[method](_filters(flat, name)) for name in names}
    else:
        scores = activation_scores(flat, names, method, inputs, labels, loss, samples)
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise InputError(
                f"has scores by {method!r} that are NaN or infinite",
                where=f"layer {name!r}",
                hint="look for NaN in the weights, or for a loss that overflows on these samples",
            )
    return scores


def _filters(model: Any, name: str) -> Array:
    """The kernel as float64 (filters, weights of one)."""
    layer = model.get_layer(name)
    kind = kind_of(layer)
    kernel = np.asarray(layer.pointwise_kernel if kind.startswith("Separable") else layer.kernel, dtype=np.float64)
    filters = np.moveaxis(kernel, -2 if kind.endswith("Transpose") else -1, 0)
    rows: Array = filters.reshape(len(filters), -1)
    return rows


def _l1(filters: Array) -> Array:
    scores: Array = np.abs(filters).sum(axis=1)
    return scores


def _l2(filters: Array) -> Array:
    scores: Array = np.sqrt((filters**2).sum(axis=1))
    return scores


def _geometric_median(filters: Array) -> Array:
    return np.array([np.sqrt(((filters - one) ** 2).sum(axis=1)).sum() for one in filters])


_OF_WEIGHTS: Mapping[str, Callable[[Array], Array]] = {"l1": _l1, "l2": _l2, "geometric_median": _geometric_median}
