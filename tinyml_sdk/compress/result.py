"""What a recipe did: a line for each stage, the model, and its int8 version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..quantize import Accuracy, LayerNoise, QuantizationResult
from .training import TrainingReport

__all__ = ["SCHEMA", "CompressionResult", "Cost", "StageReport"]

SCHEMA = 1
_WORST = 3


@dataclass(frozen=True)
class Cost:
    """What a model costs after a stage.

    Attributes:
        parameters: Weights of the Keras model, trained or not.
        nonzero_parameters: Those that are not zero.
        macs: Multiply-accumulates of one inference of the int8 model.
        weight_bytes: Constants of the int8 model in flash.
        file_bytes, gzip_bytes: Of the int8 file; the second is what an update sends.
        entropy_bits: Shannon entropy of an int8 weight.
        accuracy: The metric, of the float and of the int8 model.
        worst_layers: Least signal-to-noise first.
    """

    parameters: int
    nonzero_parameters: int
    macs: int
    weight_bytes: int
    file_bytes: int
    gzip_bytes: int
    entropy_bits: float
    accuracy: Accuracy
    worst_layers: tuple[LayerNoise, ...]

    @classmethod
    def of(cls, parameters: int, nonzero: int, result: QuantizationResult) -> Cost:
        """From the int8 model's report."""
        assert result.accuracy is not None
        return cls(
            parameters=parameters,
            nonzero_parameters=nonzero,
            macs=result.macs,
            weight_bytes=result.weight_bytes,
            file_bytes=result.file_bytes,
            gzip_bytes=result.gzip_bytes,
            entropy_bits=result.entropy_bits,
            accuracy=result.accuracy,
            worst_layers=result.worst_layers(_WORST),
        )

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Cost:
        """From what `asdict` made of one."""
        layers = tuple(LayerNoise(**layer) for layer in facts["worst_layers"])
        return cls(**{**facts, "accuracy": Accuracy(**facts["accuracy"]), "worst_layers": layers})


@dataclass(frozen=True)
class StageReport:
    """One stage.

    Attributes:
        name: `prune_filters`; `original` stands for the model as it was given.
        seconds: It took, its measurement included.
        training: Of its fine-tuning, or None.
        details: What the stage has to say of itself, as JSON holds it: groups, ranks, what was left alone and why.
        cost: Of the model after it.
    """

    name: str
    seconds: float
    training: TrainingReport | None
    details: Mapping[str, Any]
    cost: Cost

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> StageReport:
        """From what `asdict` made of one."""
        training = facts["training"]
        if training is not None:
            lists = {key: tuple(training[key]) for key in ("loss", "validation_loss")}
            training = TrainingReport(**{**training, **lists})
        return cls(**{**facts, "training": training, "cost": Cost.from_dict(facts["cost"])})


@dataclass(frozen=True)
class CompressionResult:
    """A compressed model and what each stage cost.

    Attributes:
        model: The Keras model.
        quantized: Its int8 version, with the .tflite file in `content`.
        source: Name of the model's file, or of the model.
        metric: By which models were judged.
        samples: Training and validation samples.
        held_out: Whether the validation samples were taken from the training data.
        seed: Of the recipe.
        stages: `original` first.
    """

    model: Any = field(repr=False, compare=False)
    quantized: QuantizationResult
    source: str
    metric: str
    samples: tuple[int, int]
    held_out: bool
    seed: int
    stages: tuple[StageReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """All but the models, as `--json` writes it."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "metric": self.metric,
            "samples": {"training": self.samples[0], "validation": self.samples[1], "held_out": self.held_out},
            "seed": self.seed,
            "stages": [_stage_facts(stage) for stage in self.stages],
            "quantized": self.quantized.to_dict(),
        }

    def to_json(self) -> str:
        """`to_dict` as text, with a line's end."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def _stage_facts(stage: StageReport) -> dict[str, Any]:
    facts = asdict(stage)
    accuracy = facts["cost"]["accuracy"]
    accuracy["float"] = accuracy.pop("keras")
    return facts
