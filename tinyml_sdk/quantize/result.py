"""What a quantization gives: the file, and what it cost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .checking import RangeCheck
from .job import Activations, Granularity, Method, Weights

__all__ = ["SCHEMA", "Accuracy", "LayerNoise", "LayerWeights", "QuantizationResult"]

SCHEMA = 1


@dataclass(frozen=True)
class LayerNoise:
    """One layer's distance from the float model.

    Attributes:
        index: Of the op in the int8 model.
        op: Its operator.
        name: The Keras layer, or the tensor's name where the file does not tell.
        snr_db: Signal-to-noise of its output, with the noise of all layers before it.
        drop_db: How much worse than its worst input; None where no input was compared. The culprit has the greatest.
    """

    index: int
    op: str
    name: str
    snr_db: float
    drop_db: float | None


@dataclass(frozen=True)
class LayerWeights:
    """What became of one layer's weights where int4 was asked for.

    Attributes:
        name: The Keras layer, or the tensor's name where the file does not tell.
        op: Its operator.
        bits: 4 or 8.
        count: How many weights it has.
        snr_db: What four bits alone do to it: signal-to-noise of its output in a model that is float but for these
            weights. None where that was not measured.
        kept: Why it stayed int8; empty where it did not.
    """

    name: str
    op: str
    bits: int
    count: int
    snr_db: float | None
    kept: str


@dataclass(frozen=True)
class Accuracy:
    """How well both models do on validation data, by one metric.

    Attributes:
        metric: Its name: `accuracy` unless another was asked for (`metrics.py`).
        samples: How many were judged.
        keras: Of the float model.
        int8: Of the converted model in TensorFlow Lite Micro's interpreter; None where that is not installed.
    """

    metric: str
    samples: int
    keras: float
    int8: float | None


@dataclass(frozen=True)
class QuantizationResult:
    """An int8 model and its report.

    Attributes:
        content: The .tflite file.
        source: Name of the Keras file or folder.
        sha256: Of `content`.
        granularity, method: As asked for.
        percentile: None unless that is the method.
        calibration_samples: How many samples the ranges come from.
        parameters: Weights of the Keras model, trained or not.
        macs: Multiply-accumulates of one inference.
        weight_bytes: Constants in flash, as `tinyml inspect` counts them.
        file_bytes, gzip_bytes: Of `content`; the second is what an update sends.
        entropy_bits: Shannon entropy of an int8 weight, at most 8: what an ideal coder would need for each.
        ranges: What became of the calibrated ranges.
        accuracy: None without validation data.
        layers: In the order in which they run; empty where the converted model was not run.
        activations: `int8` or `int16`.
        not_run: Why the converted model was not run, where the interpreter is there and refused it.
        weights: `int8`, or `int4` where a layer has them.
        weight_bytes_for_size: The same as `weight_bytes` of code that is generated with `--optimize size`, which keeps
            int4 weights packed; None for int8 weights.
        layer_weights: In the order in which they are read; empty for int8 weights.
    """

    content: bytes = field(repr=False)
    source: str
    sha256: str
    granularity: Granularity
    method: Method
    percentile: float | None
    calibration_samples: int
    parameters: int
    macs: int
    weight_bytes: int
    file_bytes: int
    gzip_bytes: int
    entropy_bits: float
    ranges: RangeCheck
    accuracy: Accuracy | None
    layers: tuple[LayerNoise, ...]
    activations: Activations = "int8"
    not_run: str | None = None
    weights: Weights = "int8"
    weight_bytes_for_size: int | None = None
    layer_weights: tuple[LayerWeights, ...] = ()

    def worst_layers(self, count: int = 3) -> tuple[LayerNoise, ...]:
        """Those with the least signal-to-noise, worst first."""
        return tuple(sorted(self.layers, key=lambda layer: layer.snr_db)[:count])

    def to_dict(self) -> dict[str, Any]:
        """All but the file itself, as `--json` writes it."""
        facts = asdict(self)
        del facts["content"]
        if self.accuracy is not None:
            facts["accuracy"] = {
                "metric": self.accuracy.metric,
                "samples": self.accuracy.samples,
                "float": self.accuracy.keras,
                "int8": self.accuracy.int8,
            }
        worst = [layer.index for layer in self.worst_layers()]
        lists = {key: list(facts[key]) for key in ("layers", "layer_weights")}
        return {"schema": SCHEMA, **facts, **lists, "worst_layers": worst}

    def to_json(self) -> str:
        """`to_dict` as text, with a line's end."""
        return json.dumps(self.to_dict(), indent=2) + "\n"
