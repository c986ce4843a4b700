"""Two results side by side, and whether the newer one costs too much more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ..errors import InputError
from .result import SCHEMA, BenchResult, LayerCost

__all__ = ["Comparison", "Cost", "compare_results", "load_result"]

SMALLEST_LAYER = 0.01
"""A layer below this share of an inference may grow as if it had it: a few instructions more are no regression."""


@dataclass(frozen=True)
class Cost:
    """One cost in both results. `significant` is the amount that percentages of growth are taken of."""

    name: str
    old: int
    new: int
    significant: int

    @property
    def growth(self) -> float:
        """How much more the new one costs, as a fraction of the significant amount; negative when it costs less."""
        return (self.new - self.old) / self.significant


@dataclass(frozen=True)
class Comparison:
    """What two results differ in.

    Attributes:
        settings: Names of what was not the same: model, board, toolchain …
        totals: Count of an inference, flash, RAM, arena.
        layers: The count of each layer, where both results have the same layers, in whatever order; else empty.
    """

    old: BenchResult
    new: BenchResult
    settings: tuple[str, ...]
    totals: tuple[Cost, ...]
    layers: tuple[Cost, ...]

    def regressions(self, most: float) -> tuple[Cost, ...]:
        """The costs that grew by more than `most`, a fraction; totals first."""
        return tuple(cost for cost in (*self.totals, *self.layers) if cost.growth > most)


def load_result(path: str | Path) -> BenchResult:
    """Read what `tinyml bench --json` wrote.

    Raises:
        InputError: the file cannot be read, or is no result of this schema; names the field.
    """
    try:
        data = TypeAdapter(dict[str, object]).validate_json(Path(path).read_bytes())
        schema = data.pop("schema", None)
        if schema != SCHEMA:
            raise InputError(f"schema is {schema}, not {SCHEMA}", where=str(path), hint="run `tinyml bench` again")
        return TypeAdapter(BenchResult).validate_python(data)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), hint="check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"is not a result of `tinyml bench`: {field + ': ' if field else ''}{first['msg']}",
            where=str(path),
            hint="write it with `tinyml bench MODEL --board BOARD --json FILE`",
        ) from error


def compare_results(old: BenchResult, new: BenchResult) -> Comparison:
    """Put two results beside each other.

    Raises:
        InputError: one counts instructions and the other cycles.
    """
    if old.counter != new.counter:
        raise InputError(
            f"one result counts {old.counter}, the other {new.counter}",
            hint="compare results of the same kind of target: emulators count instructions, boards cycles",
        )
    return Comparison(
        old=old,
        new=new,
        settings=tuple(name for name, value in _settings(old).items() if value != _settings(new)[name]),
        totals=(
            _cost(old.counter, old.per_inference.median, new.per_inference.median),
            _cost("flash", old.flash.total, new.flash.total),
            _cost("RAM", old.ram.total, new.ram.total),
            _cost("arena", old.ram.arena, new.ram.arena),
        ),
        layers=_layers(old, new),
    )


def _settings(result: BenchResult) -> dict[str, object]:
    return {
        "model": result.model.sha256,
        "board": result.board,
        "runtime": result.runtime,
        "optimize": result.optimize,
        "streams": result.streams is not False,
        "toolchain": (result.toolchain.name, result.toolchain.version),
        "target": result.target.name,
    }


def _cost(name: str, old: int, new: int) -> Cost:
    return Cost(name, old, new, max(old, 1))


def _layers(old: BenchResult, new: BenchResult) -> tuple[Cost, ...]:
    smallest = round(SMALLEST_LAYER * old.per_inference.median)
    return tuple(
        Cost(f"layer {before.index} {before.op}", before.count, after.count, max(before.count, smallest, 1))
        for before, after in _pairs(old.layers, new.layers)
    )


def _pairs(old: Sequence[LayerCost], new: Sequence[LayerCost]) -> list[tuple[LayerCost, LayerCost]]:
    """Each layer with its newer self: that of the same operator and output, or, where names say nothing, its place."""
    by_name = {(layer.op, layer.name): layer for layer in new}
    names = [(layer.op, layer.name) for layer in old]
    if len(by_name) == len(new) == len(old) and set(names) == set(by_name):
        return [(layer, by_name[name]) for layer, name in zip(old, names, strict=True)]
    if [layer.op for layer in old] == [layer.op for layer in new]:
        return list(zip(old, new, strict=True))
    return []
