"""Low-rank factorisation: a dense or convolutional layer becomes a chain of smaller ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...errors import InputError
from ..weight_layers import Kernel, selected_kernels
from .factors import DECOMPOSITIONS, Decomposition, Factors, MethodName, Rank
from .layers import Chain, layer_calls, with_chains

__all__ = ["Factorized", "LowRank", "Method", "low_rank"]

Method = Literal["auto", "svd", "tucker2", "spatial", "cp"]


@dataclass(frozen=True)
class Factorized:
    """One layer that became a chain.

    Attributes:
        layer: Its name, which the last layer of the chain has.
        method, rank: How. Two numbers for `tucker2`: of the inputs and the outputs of its core.
        parameters_before, parameters_after: Weights, without the bias, which stays.
        macs_before, macs_after: Multiply-accumulates of one inference.
        relative_error: Norm of the kernel's change over the norm of the kernel.
    """

    layer: str
    method: MethodName
    rank: tuple[int, ...]
    parameters_before: int
    parameters_after: int
    macs_before: int
    macs_after: int
    relative_error: float


@dataclass(frozen=True)
class LowRank:
    """A factorised model, the layers that were, and those left alone, each with the reason."""

    model: Any
    layers: tuple[Factorized, ...]
    left: tuple[tuple[str, str], ...]


def low_rank(
    model: Any,
    *,
    energy: float | None = None,
    ratio: float | None = None,
    ranks: Mapping[str, int | tuple[int, int]] | None = None,
    method: Method = "auto",
    layers: Collection[str] | None = None,
) -> LowRank:
    """Replace Dense, Conv1D and Conv2D layers by chains of smaller ones, where that saves weights and costs no MACs.

    A chain is called `layer_reduce`, `layer_core` (if it has three) and `layer`, which keeps bias and activation. The
    methods, their sources and ranks are those of `low_rank_factors`; dense layers and windows of a single point are
    always factorised by `svd`.

    Args:
        model: Functional or sequential, with fixed input shapes; not changed.
        energy: Share of a kernel's squared norm to keep at the least, above 0 and up to 1; 1 finds kernels that are of
            low rank as they are. Not for `cp`, which has no singular values.
        ratio: Or: share of a layer's weights (without the bias) to keep at the most, above 0 and below 1.
        ranks: Rank by layer, instead of what the other two say; a pair for `tucker2`. Alone, only these layers.
        method: For convolutions. `auto` takes `svd`, `tucker2` or `spatial`, for each layer the one with the fewest
            MACs (by energy), the least error (by ratio), or that which the rank fits.
        layers: Names of the layers; all where None.

    Returns:
        A new model. Layers are left alone where a chain would be no smaller, and where the rewriting is not possible:
        in models used as layers, shared, grouped, or constrained layers.

    Raises:
        InputError: an option is out of range, a layer is unknown, a weight is NaN, or no layer gets smaller.
    """
    ranks = dict(ranks or {})
    _check_options(energy, ratio, ranks, method)
    only_ranked = energy is None and ratio is None
    wanted = selected_kernels(model, () if only_ranked else layers, "low rank", named=ranks)
    plan = _Plan(model, energy, ratio, ranks, method)
    decisions = {name: plan.decide(kernel) for name, kernel in wanted.items()}
    chosen = [decision for decision in decisions.values() if isinstance(decision, _Choice)]
    left = tuple((name, reason) for name, reason in decisions.items() if isinstance(reason, str))
    if not chosen:
        listed = "; ".join(f"{name!r} {reason}" for name, reason in left[:4])
        raise InputError(
            f"no layer gets smaller: {listed}{' …' if len(left) > 4 else ''}",
            where="low rank",
            hint="lower the energy, ratio or rank, or leave the stage out: small layers have nothing to give",
        )
    copy = with_chains(model, {choice.facts.layer: choice.chain for choice in chosen})
    for choice in chosen:
        choice.load(model.get_layer(choice.facts.layer))
    return LowRank(copy, tuple(choice.facts for choice in chosen), left)


def _bad(message: str, hint: str, where: str = "low rank") -> InputError:
    return InputError(message, where=where, hint=hint)


def _check_options(energy: float | None, ratio: float | None, ranks: Mapping[str, Any], method: str) -> None:
    if method not in get_args(Method):
        raise _bad(f"{method!r} is no method", f"choose one of {', '.join(get_args(Method))}")
    if energy is not None and ratio is not None:
        raise _bad("both an energy and a ratio are given", "give one of them")
    if energy is None and ratio is None and not ranks:
        raise _bad("it is not said how much to keep", "give an energy (such as 0.9), a ratio (0.5), or ranks by layer")
    if energy is not None and not 0 < energy <= 1:
        raise _bad(f"an energy of {energy:g}", "give a share above 0, at most 1, such as 0.9")
    if energy is not None and method == "cp":
        raise _bad("cp has no singular values to count energy by", "give a ratio or ranks, or choose another method")
    if ratio is not None and not 0 < ratio < 1:
        raise _bad(f"a ratio of {ratio:g}", "give a share above 0, below 1, such as 0.5")


class _LeftAloneError(Exception):
    """Why a layer cannot, or should not, be factorised."""


@dataclass(frozen=True)
class _Choice:
    """What a layer becomes."""

    chain: Chain
    factors: Factors
    facts: Factorized

    def load(self, layer: Any) -> None:
        """Give the chain its weights, once it is built, and the layer's bias."""
        for step, values in zip(self.chain.layers, self.factors.kernels, strict=True):
            step.kernel.assign(values)
        if layer.use_bias:
            self.chain.layers[-1].bias.assign(layer.bias)


class _Plan:
    """Chooses a chain for each layer of one model."""

    def __init__(
        self,
        model: Any,
        energy: float | None,
        ratio: float | None,
        ranks: Mapping[str, int | tuple[int, int]],
        method: Method,
    ) -> None:
        self._own = {layer.name: layer for layer in model.layers}
        self._calls = layer_calls(model)
        self._energy = energy
        self._ratio = ratio
        self._ranks = {name: (rank,) if isinstance(rank, int) else tuple(rank) for name, rank in ranks.items()}
        self._method = method

    def decide(self, kernel: Kernel) -> _Choice | str:
        """The chain that is best by what was asked for, or why there is none.

        Raises:
            InputError: the rank that was asked for is impossible, or weights are NaN.
        """
        try:
            return self._choice(kernel)
        except _LeftAloneError as reason:
            return str(reason)

    def _choice(self, kernel: Kernel) -> _Choice:
        layer = self._layer(kernel)
        input_shape = self._calls[layer.name][0]
        macs = Chain.of_layer(layer).macs(input_shape)
        if macs is None:
            raise _LeftAloneError("has an output whose size is open")
        smaller: list[tuple[int, Chain, Decomposition, Rank]] = []
        reasons = []
        for decomposition, rank in self._ranked(layer, kernel):
            chain = Chain.in_place_of(layer, decomposition.name, decomposition.shapes(rank), self._own)
            after = chain.macs(input_shape)
            assert after is not None
            reason = _no_gain(decomposition, rank, macs, after)
            if reason:
                reasons.append(reason)
            else:
                smaller.append((after, chain, decomposition, rank))
        if not smaller:
            raise _LeftAloneError(reasons[0] if reasons else f"has more than a ratio of {self._ratio:g} at any rank")
        return self._best(layer.name, macs, smaller)

    def _best(self, name: str, macs: int, smaller: list[tuple[int, Chain, Decomposition, Rank]]) -> _Choice:
        if self._ratio is None or name in self._ranks:
            smaller = [min(smaller, key=lambda option: option[0])]
        done = [(after, chain, whole, whole.factors(rank)) for after, chain, whole, rank in smaller]
        after, chain, whole, factors = min(done, key=lambda option: option[3].relative_error)
        facts = Factorized(
            layer=name,
            method=factors.method,
            rank=factors.rank,
            parameters_before=whole.kernel.size,
            parameters_after=factors.parameters,
            macs_before=macs,
            macs_after=after,
            relative_error=factors.relative_error,
        )
        return _Choice(chain, factors, facts)

    def _layer(self, kernel: Kernel) -> Any:
        """The layer, if it can be rewritten."""
        from keras import layers

        layer = self._own.get(kernel.layer)
        if layer is None:
            raise _LeftAloneError("is inside a model that is used as a layer")
        if type(layer) not in (layers.Dense, layers.Conv1D, layers.Conv2D):
            raise _LeftAloneError(f"is a {type(layer).__name__}, which is not factorised")
        places = len(self._calls[layer.name])
        if places > 1:
            raise _LeftAloneError(f"is used in {places} places")
        if getattr(layer, "groups", 1) > 1:
            raise _LeftAloneError("is a convolution in groups")
        if layer.kernel.constraint is not None:
            raise _LeftAloneError("has a constraint on its kernel, which factors would not keep")
        return layer

    def _ranked(self, layer: Any, kernel: Kernel) -> list[tuple[Decomposition, Rank]]:
        """The ways to try, each at the rank that was asked for; without those that have none."""
        values = kernel.read()
        asked = self._ranks.get(kernel.layer)
        found = []
        for method in self._methods(layer, asked):
            whole = DECOMPOSITIONS[method](values)
            if asked is not None:
                _check_rank(kernel.layer, asked, whole)
                rank: Rank | None = asked
            elif self._energy is not None:
                rank = whole.rank_for_energy(self._energy)
            else:
                assert self._ratio is not None
                rank = whole.rank_for_ratio(self._ratio)
            if rank is not None:
                found.append((whole, rank))
        return found

    def _methods(self, layer: Any, asked: Rank | None) -> list[MethodName]:
        window = getattr(layer, "kernel_size", ())
        if max(window, default=1) == 1:
            return ["svd"]
        flat = len(window) < 2 or min(window) == 1
        if self._method == "auto":
            if asked is not None:
                return ["tucker2" if len(asked) == 2 else "svd"]
            return ["svd", "tucker2"] if flat else ["svd", "tucker2", "spatial"]
        if self._method == "spatial" and flat:
            raise _LeftAloneError("has a window without a height and a width to separate")
        if self._method == "cp" and (len(set(layer.strides)) > 1 or layer.padding == "causal"):
            raise _LeftAloneError("has strides or padding that depthwise layers do not have")
        return [self._method]


def _no_gain(whole: Decomposition, rank: Rank, macs: int, macs_after: int) -> str:
    weights, weights_after = whole.kernel.size, whole.parameters(rank)
    at = f"at rank {' x '.join(map(str, rank))} ({whole.name})"
    if weights_after >= weights:
        return f"would have {weights_after:,} weights instead of {weights:,} {at}"
    if macs_after > macs:
        return f"would take {macs_after:,} MACs instead of {macs:,} {at}"
    return ""


def _check_rank(name: str, rank: Rank, whole: Decomposition) -> None:
    full = whole.full
    if len(rank) != len(full) or not all(1 <= number <= most for number, most in zip(rank, full, strict=True)):
        what = "a rank from 1 to" if len(full) == 1 else "a pair of ranks from 1 to"
        raise _bad(
            f"a rank of {' x '.join(map(str, rank))} for {whole.name}",
            f"give {what} {' x '.join(map(str, full))}",
            where=f"low rank: layer {name!r}",
        )
