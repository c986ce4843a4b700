"""The result of a benchmark: schema 1, as in `result.schema.json`. What was not measured is None, never guessed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .cycles import EstimatedCycles

__all__ = [
    "Accuracy",
    "BenchResult",
    "Check",
    "FlashUse",
    "LayerCost",
    "ModelFacts",
    "PerInference",
    "RamUse",
    "TargetFacts",
    "ToolchainFacts",
]

SCHEMA = 1


@dataclass(frozen=True)
class ModelFacts:
    """Which model was measured. `sha256` is of the file."""

    file: str
    sha256: str
    name: str
    macs: int
    ops: int


@dataclass(frozen=True)
class ToolchainFacts:
    """What built the firmware."""

    name: str
    version: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class TargetFacts:
    """What ran it."""

    name: str
    version: str


@dataclass(frozen=True)
class PerInference:
    """Counts of one inference, in the unit of `BenchResult.counter`, over `runs` inferences."""

    median: int
    min: int
    max: int
    runs: int


@dataclass(frozen=True)
class FlashUse:
    """Bytes of flash of the whole benchmark firmware: .text + .rodata + .data, and of it the model's constants."""

    total: int
    code: int
    weights: int


@dataclass(frozen=True)
class RamUse:
    """Bytes of RAM: the arena (inputs and outputs included), other static data, and the stack's measured high water."""

    total: int
    arena: int
    static: int
    stack_peak: int


@dataclass(frozen=True)
class Check:
    """How the outputs compare with the reference, byte for byte.

    Attributes:
        reference: `tflite-micro`, or `host` for the same generated C built for this machine.
        inputs: How many inferences were compared.
        differing: Output elements that differ, over all of them.
        first_divergent_layer: The index of the first layer whose output differs, where that could be told.
    """

    reference: str
    inputs: int
    bit_exact: bool
    differing: int
    max_abs_diff: int
    first_divergent_layer: int | None


@dataclass(frozen=True)
class Accuracy:
    """Share of labelled inputs that are classified rightly, by the firmware and by the reference."""

    device: float
    reference: float
    samples: int


@dataclass(frozen=True)
class LayerCost:
    """One layer's count in an inference, and its share of the sum over all layers."""

    index: int
    op: str
    name: str
    macs: int
    count: int
    share: float


@dataclass(frozen=True)
class BenchResult:
    """Everything that `tinyml bench` learned, in the order of the JSON.

    Attributes:
        streams: Whether layers might run row by row; None where TFLM ran them, and in results of older versions.
    """

    model: ModelFacts
    board: str
    core: str
    runtime: str
    optimize: str
    streams: bool | None = field(default=None, kw_only=True)
    toolchain: ToolchainFacts
    target: TargetFacts
    counter: Literal["instructions", "cycles"]
    counter_resolution: float
    clock_hz: int
    per_inference: PerInference
    latency_us: float | None
    flash: FlashUse
    ram: RamUse
    check: Check
    accuracy: Accuracy | None
    layers: tuple[LayerCost, ...]
    estimated_cycles: EstimatedCycles | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_json(self) -> str:
        """The JSON text that `--json` writes."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def result_schema() -> dict[str, Any]:
    """The JSON schema of `BenchResult.to_dict()`."""
    text = (Path(__file__).parent / "result.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
