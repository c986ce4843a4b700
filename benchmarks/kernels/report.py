"""What was measured, as Markdown: models, layers, geometric means of ratios, and what bounds the worst layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .measuring import Counted, LayerCount

__all__ = [
    "Compared",
    "PeerModel",
    "bakenn_table",
    "geometric_mean",
    "layer_table",
    "means",
    "model_table",
    "worst_layers",
]

SMALLEST_SHARE = 0.001
"""Of its model, for a layer to be one of the worst: below it a few instructions more or less decide nothing."""


@dataclass(frozen=True)
class Compared:
    """One model built by one compiler with our kernels and with CMSIS-NN's, at each optimization of its library."""

    model: str
    toolchain: str
    ours: Counted
    theirs: tuple[Counted, ...]

    @property
    def best(self) -> Counted:
        """CMSIS-NN at the optimization that is best for it."""
        return min(self.theirs, key=lambda counted: counted.total)

    @property
    def ratio(self) -> float:
        """Our instructions divided by CMSIS-NN's: below 1 is better."""
        return self.ours.total / self.best.total

    def layers(self) -> Iterator[tuple[LayerCount, LayerCount]]:
        """Ours and theirs, of those layers that CMSIS-NN has a kernel for."""
        for ours, theirs in zip(self.ours.layers, self.best.layers, strict=True):
            if theirs.kernel.startswith("cmsis_nn_"):
                yield ours, theirs


@dataclass(frozen=True)
class PeerModel:
    """One model in bakeNN's hands: why it refuses the published file, and what the one that it accepts costs."""

    model: str
    toolchain: str
    refusal: str | None
    still_refused: str | None
    ours: Counted | None
    theirs: tuple[Counted, ...]


def geometric_mean(ratios: Iterable[float]) -> float:
    """Of positive numbers. Raises ValueError where there are none."""
    logarithms = [math.log(ratio) for ratio in ratios]
    if not logarithms:
        raise ValueError("no ratios")
    return math.exp(sum(logarithms) / len(logarithms))


def model_table(compared: Sequence[Compared], tflm: dict[str, Any]) -> Iterator[str]:
    """Whole models; the last two columns divide by DESIGN's figures of TFLM, which are of Cortex-M4 only."""
    yield "| model | compiler | ours | per MAC | CMSIS-NN | ours / CMSIS-NN | ours / TFLM | CMSIS-NN / TFLM | equal |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for pair in compared:
        interpreter = tflm.get(pair.model, {}).get("instructions")
        to_tflm = [f"{counted.total / interpreter:.2f}" if interpreter else "-" for counted in (pair.ours, pair.best)]
        macs = sum(layer.macs for layer in pair.ours.layers)
        level = pair.best.kernels.removeprefix("CMSIS-NN ")
        yield (
            f"| {pair.model} | {pair.toolchain} | {pair.ours.total:,} | {pair.ours.total / macs:.2f} "
            f"| {pair.best.total:,} ({level}) | {pair.ratio:.2f} | {' | '.join(to_tflm)} | {_equal(pair)} |"
        )


def layer_table(compared: Sequence[Compared]) -> Iterator[str]:
    """Layers of one compiler, those that are alike once."""
    yield "| model | layers | operator | shape | ours, per MAC | CMSIS-NN, per MAC | ours / CMSIS-NN |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for pair in compared:
        alike: dict[tuple[str, str, int, int], list[tuple[LayerCount, LayerCount]]] = {}
        for ours, theirs in pair.layers():
            alike.setdefault((ours.op, ours.shape, ours.macs, round(ours.count, -3)), []).append((ours, theirs))
        for (op, shape, macs, _), layers in alike.items():
            first, other = layers[0]
            numbers = ", ".join(str(ours.index) for ours, _ in layers)
            costs = [f"{layer.count / macs:.2f}" if macs else f"{layer.count:,} in all" for layer in (first, other)]
            ratio = first.count / other.count
            yield f"| {pair.model} | {numbers} | {op} | {shape} | {' | '.join(costs)} | {ratio:.2f} |"


def means(compared: Sequence[Compared]) -> Iterator[str]:
    """Geometric means of ours / CMSIS-NN: of models, of layers, of layers of an operator."""
    yield f"models: {geometric_mean(pair.ratio for pair in compared):.2f}"
    ratios: dict[str, list[float]] = {}
    for pair in compared:
        for ours, theirs in pair.layers():
            ratios.setdefault(ours.op, []).append(ours.count / theirs.count)
    every = [ratio for of_op in ratios.values() for ratio in of_op]
    yield f"{len(every)} layers: {geometric_mean(every):.2f}"
    for op, of_op in sorted(ratios.items()):
        yield f"{op}, {len(of_op)} layers: {geometric_mean(of_op):.2f}"


def worst_layers(compared: Sequence[Compared], count: int = 5) -> Iterator[str]:
    """The layers with the highest ratio, each once, with what their instructions are."""
    found: dict[tuple[str, str], tuple[float, str]] = {}
    for pair in compared:
        for ours, theirs in pair.layers():
            if ours.count < SMALLEST_SHARE * pair.ours.total:
                continue
            ratio = ours.count / theirs.count
            key = ours.op, ours.shape
            if ratio > found.get(key, (0.0, ""))[0]:
                found[key] = ratio, f"{pair.model} layer {ours.index}, {ours.op} {ours.shape}: {_bound(ours, theirs)}"
    for _, line in sorted(found.values(), reverse=True)[:count]:
        yield f"- {line}"


def bakenn_table(models: Sequence[PeerModel]) -> Iterator[str]:
    """What bakeNN refuses, and what it costs where it accepts."""
    yield "| model | compiler | published file | ours | bakeNN, by default | with CMSIS-NN | ours / its best | equal |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in models:
        why = row.refusal or "accepted"
        if row.ours is None:
            yield f"| {row.model} | {row.toolchain} | refused: {why} | refused still: {row.still_refused} | | | | |"
            continue
        totals = " | ".join(f"{counted.total:,}" for counted in row.theirs)
        ratio = row.ours.total / min(counted.total for counted in row.theirs)
        equal = "yes" if row.ours.equal and all(counted.equal for counted in row.theirs) else "NO"
        yield f"| {row.model} | {row.toolchain} | {why} | {row.ours.total:,} | {totals} | {ratio:.2f} | {equal} |"


def _equal(pair: Compared) -> str:
    wrong = [counted.kernels for counted in (pair.ours, *pair.theirs) if not counted.equal]
    return f"NO: {', '.join(wrong)}" if wrong else "yes"


def _bound(ours: LayerCount, theirs: LayerCount) -> str:
    """Measured facts: the mix of instructions, products for each multiply, instructions for each output."""
    ratio = f"{ours.count / theirs.count:.2f} of CMSIS-NN's {theirs.count:,}"
    mix = ours.mix
    total = sum(mix.values())
    if not total:
        return ratio
    loads = mix["load"] + mix["load/store several"]
    shares = (
        f"{mix['multiply'] / total:.0%} multiplies, {loads / total:.0%} loads and moves of several registers, "
        f"{mix['store'] / total:.0%} stores, {mix['branch'] / total:.0%} branches, {mix['other'] / total:.0%} others"
    )
    if not ours.macs:
        return f"{ratio}; {ours.count / ours.outputs:.1f} instructions an output: {shares}"
    return (
        f"{ratio}; {ours.count / ours.macs:.2f} instructions per MAC: {shares}; "
        f"{ours.macs / max(1, mix['multiply']):.2f} products for each multiply, "
        f"{ours.macs / ours.outputs:.0f} products and {ours.count / ours.outputs:.1f} instructions an output"
    )
