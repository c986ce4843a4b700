"""Unstructured magnitude pruning: at once, or gradually while fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..weight_layers import Kernel, cloned, selected_kernels
from .held import constrained, retraced
from .masks import Masks, Norm, PruningTarget, Scope, parse_pattern

__all__ = ["LayerSparsity", "WeightPruning", "cubic_share", "gradual_pruning", "prune_weights"]

UPDATES = 50  # of the masks in a gradual pruning, unless said otherwise


@dataclass(frozen=True)
class LayerSparsity:
    """One pruned kernel.

    Attributes:
        layer: Its name.
        weights: How many it has.
        zeros: How many of them are zero.
    """

    layer: str
    weights: int
    zeros: int

    @property
    def sparsity(self) -> float:
        """The share of zeros."""
        return self.zeros / self.weights


@dataclass(frozen=True)
class WeightPruning:
    """A pruned model of the same shapes, and the layers in which zeros must be held when it is trained on."""

    model: Any
    layers: tuple[LayerSparsity, ...]


def prune_weights(
    model: Any,
    *,
    sparsity: float | None = None,
    threshold: float | None = None,
    pattern: str | None = None,
    scope: Scope = "global",
    layers: Collection[str] | None = None,
    overrides: Mapping[str, float] | None = None,
    norm: Norm = "l2",
) -> WeightPruning:
    """Set the smallest weights of dense and convolutional kernels to zero.

    Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", 2015 (arXiv:1506.02626);
    N:M: Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021 (arXiv:2104.08378).

    Biases, batch normalization and the depthwise part of separable convolutions are left alone, and so are depthwise
    layers unless they are named: they have few weights, each of which is all that a channel has. The first and the
    last layer count like any other; an override of 0 spares them.

    Args:
        model: Functional or sequential; not changed.
        sparsity: Share of zeros to reach, above 0 and below 1, over all layers or in each (`scope`).
        threshold: Or: weights with a magnitude below become zero.
        pattern: `2:4`, `1:4` … (at most N of M consecutive input channels are kept; no sparsity then), or blocks of
            output x input channels, `1x4`, which with a `sparsity` go or stay as a whole.
        scope: `global` has all layers compete by magnitude, `layer` gives each the same share.
        layers: Names of the layers to prune; all but depthwise ones where None.
        overrides: Sparsity by layer; 0 leaves one alone. Named layers are pruned even if `layers` does not have them.
        norm: By which blocks are ranked.

    Returns:
        A new model. Zeros that were there stay and count.

    Raises:
        InputError: an option is out of range or contradicts another, a layer is unknown, a weight is NaN, a pattern is
            asked of a depthwise layer, or a threshold is above all weights of a layer.
    """
    target = _target(sparsity, threshold, pattern, scope, overrides, norm)
    copy = cloned(model)
    kernels = _prunable(copy, target, layers)
    masks = _masks(target, kernels)
    for name, kernel in kernels.items():
        if threshold is not None and not masks[name].any():
            raise InputError(
                f"a threshold of {threshold:g} is above all of its weights",
                where=f"prune weights: layer {name!r}",
                hint=f"its greatest is {np.abs(kernel.read()).max():.4g}; lower the threshold or give a sparsity",
            )
        kernel.write(np.where(masks[name], kernel.read(), 0))
    return WeightPruning(copy, layer_sparsities(kernels))


def layer_sparsities(kernels: Mapping[str, Kernel]) -> tuple[LayerSparsity, ...]:
    """The zeros of each kernel."""
    values = {name: kernel.read() for name, kernel in kernels.items()}
    return tuple(
        LayerSparsity(name, int(array.size), int(array.size - np.count_nonzero(array)))
        for name, array in values.items()
    )


def _target(
    sparsity: float | None,
    threshold: float | None,
    pattern: str | None,
    scope: Scope,
    overrides: Mapping[str, float] | None,
    norm: Norm,
) -> PruningTarget:
    parsed = None if pattern is None else parse_pattern(pattern)
    return PruningTarget(sparsity, threshold, parsed, scope, dict(overrides or {}), norm)


def _prunable(model: Any, target: PruningTarget, layers: Collection[str] | None) -> dict[str, Kernel]:
    kernels = selected_kernels(model, layers, "prune weights", named=target.overrides)
    pruned = {name: kernel for name, kernel in kernels.items() if target.overrides.get(name) != 0}
    if not pruned:
        raise InputError(
            "every layer is spared by its override", where="prune weights", hint="leave the stage out instead"
        )
    for name, kernel in pruned.items():
        if kernel.depthwise and target.pattern is not None:
            raise InputError(
                "is depthwise, and patterns lie along the input channels, of which it reads one",
                where=f"prune weights: layer {name!r}",
                hint="leave it out, or prune it in a stage of its own without a pattern",
            )
    return pruned


def _masks(target: PruningTarget, kernels: Mapping[str, Kernel], share: float = 1.0) -> Masks:
    return target.masks({name: kernel.read() for name, kernel in kernels.items()}, share)


# -- gradually ----------------------------------------------------------------------------------------------------


def cubic_share(step: int, ramp: int) -> float:
    """How much of the final sparsity is due after a step: 1 - (1 - step / ramp)³, and 1 from `ramp` on.

    Equation 1 of Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression",
    2017 (arXiv:1710.01878), with an initial sparsity and a first step of 0, divided by the final sparsity.
    """
    return 1 - (1 - min(step, ramp) / ramp) ** 3


@contextmanager
def gradual_pruning(
    model: Any,
    steps: int,
    *,
    sparsity: float | None = None,
    pattern: str | None = None,
    scope: Scope = "global",
    layers: Collection[str] | None = None,
    overrides: Mapping[str, float] | None = None,
    norm: Norm = "l2",
    end: float = 0.75,
    every: int | None = None,
) -> Iterator[Any]:
    """Prune while fine-tuning: `with gradual_pruning(model, steps, …) as callback: model.fit(…, callbacks=[callback])`.

    Sparsity grows from 0 by `cubic_share`, fast while there is much to spare; the rest of the training makes up for it.
    Between the updates the masks hold, as constraints. When the block ends, the target is reached exactly, even if
    training stopped early: then the last weights go without being trained for, so let early stopping begin after
    `end`, with Keras's `start_from_epoch`.

    Unlike the other functions this one changes the model that it is given.

    Args:
        model: Built. If it is trained as a part of another model, compile that one within the block.
        steps: Optimizer steps of the whole fine-tuning: epochs x batches.
        sparsity, pattern, scope, layers, overrides, norm: As for `prune_weights`.
        end: Share of the steps after which the target is reached, above 0 and at most 1.
        every: Steps between two updates of the masks; about 50 updates in all where None.

    Yields:
        A `keras.callbacks.Callback`, for one `fit`.

    Raises:
        InputError: as for `prune_weights`, or `steps`, `end` or `every` are out of range.
    """
    for value, good, what, hint in (
        (steps, steps >= 1, "steps", "give the number of batches times epochs"),
        (end, 0 < end <= 1, "end", "give the share of the steps for pruning, such as 0.75"),
        (every, every is None or every >= 1, "every", "give the steps between two updates, at least 1"),
    ):
        if not good:
            raise InputError(f"{what} of {value}", where="prune weights: schedule", hint=hint)
    target = _target(sparsity, None, pattern, scope, overrides, norm)
    pruner = _Pruner(_prunable(model, target, layers), target)
    ramp = max(1, round(steps * end))
    with ExitStack() as stack:
        stack.enter_context(retraced(model))
        for kernel, mask in pruner.masked():
            stack.enter_context(constrained(kernel.variable, mask))
        yield _callback(pruner, ramp, every or max(1, ramp // UPDATES))
        pruner.update(1.0)


class _Pruner:
    """The masks of some kernels, as variables that a compiled training step reads."""

    def __init__(self, kernels: dict[str, Kernel], target: PruningTarget) -> None:
        import keras

        self._kernels = kernels
        self._target = target
        self._masks = {
            name: keras.Variable(np.ones(kernel.variable.shape, np.bool_), trainable=False, dtype="bool")
            for name, kernel in kernels.items()
        }

    def masked(self) -> Iterator[tuple[Kernel, Any]]:
        """Each kernel with the projection that its mask is."""
        from keras import ops

        def projection(mask: Any) -> Any:
            return lambda weights: ops.where(mask, weights, ops.zeros_like(weights))

        for name, kernel in self._kernels.items():
            yield kernel, projection(self._masks[name])

    def update(self, share: float) -> None:
        """Remove a share of what is to go in the end, by the weights as they are now."""
        for name, mask in _masks(self._target, self._kernels, share).items():
            kernel = self._kernels[name]
            self._masks[name].assign(kernel.turned(mask))
            kernel.write(np.where(mask, kernel.read(), 0))


def _callback(pruner: _Pruner, ramp: int, every: int) -> Any:
    import keras

    class GradualPruning(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
        """Updates the masks after every few optimizer steps until the ramp is over."""

        def on_train_begin(self, logs: Any = None) -> None:
            # A step compiled before, also of a model around this one, knows of no masks.
            self.model.make_train_function(force=True)
            self._start = self._steps()
            self._due: float = min(every, ramp)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step = self._steps() - self._start
            if step >= self._due:
                pruner.update(cubic_share(step, ramp))
                # The last one is at the end of the ramp, whatever `every` is.
                self._due = min(step + every, ramp) if step < ramp else math.inf

        def _steps(self) -> int:
            return int(self.model.optimizer.iterations)

    return GradualPruning()
