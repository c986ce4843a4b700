"""What a conversion is asked to do, and how the two processes that share it talk.

The parent makes a folder, writes `job.json` into it and sends the folder's path as a line. The worker answers with
events on its stdout, one JSON object a line. The first is `loaded`, with the model's inputs; the parent then checks the
data against them, writes `calibration.npz` (and `validation.npz`), and answers with a line. After `done` the folder
holds the results, and the worker waits for the next.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = [
    "ACTIVATIONS",
    "CALIBRATION",
    "FACTS",
    "FIRST",
    "FLOAT_OUTPUTS",
    "FLOAT_TENSORS",
    "GRANULARITIES",
    "JOB",
    "LAST",
    "METHODS",
    "QUANTIZED",
    "VALIDATION",
    "WEIGHTS",
    "Activations",
    "Granularity",
    "Job",
    "Method",
    "Weights",
]

Granularity = Literal["per-channel", "per-tensor", "per-tensor-dense"]
Method = Literal["minmax", "percentile", "mse"]
Activations = Literal["int8", "int16"]
Weights = Literal["int8", "int4"]

GRANULARITIES: tuple[Granularity, ...] = ("per-channel", "per-tensor", "per-tensor-dense")
METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse")
ACTIVATIONS: tuple[Activations, ...] = ("int8", "int16")
WEIGHTS: tuple[Weights, ...] = ("int8", "int4")

FIRST, LAST = "first", "last"
"""Of the layers with weights, where a name is asked for."""

JOB = "job.json"
CALIBRATION = "calibration.npz"  # input_0, input_1 …: float32 of shape (N, *the input without its batch)
VALIDATION = "validation.npz"  # the same
QUANTIZED = "quantized.tflite"
FACTS = "facts.json"  # ranges: {tensor: [low, high]}, observed: the same before clipping
FLOAT_TENSORS = "float_tensors.npz"  # t0, t1 …: float32 of shape (samples, *tensor); facts.json lists their names
FLOAT_OUTPUTS = "float_outputs.npz"  # outputs: the float model's first output for each validation sample


@dataclass(frozen=True)
class Job:
    """One conversion.

    Attributes:
        model: Absolute path of a .keras or .h5 file or a SavedModel folder.
        name: What messages call it.
        granularity: One weight scale for each channel, for each tensor, or per channel but for dense layers.
        method: How activation ranges are chosen.
        percentile: For that method; above 50, at most 100.
        activations: What is computed with.
        weights: `int4`: of all layers that can have them, but those below.
        keep_int8: Layers that stay int8 all the same, by name, or FIRST and LAST.
        min_snr: Decibels; layers whose output would be noisier for their int4 weights stay int8. None: any noise.
        noise_samples: How many calibration samples to keep the float model's intermediates of.
    """

    model: str
    name: str
    granularity: Granularity = "per-channel"
    method: Method = "minmax"
    percentile: float = 99.99
    activations: Activations = "int8"
    weights: Weights = "int8"
    keep_int8: tuple[str, ...] = ()
    min_snr: float | None = None
    noise_samples: int = 8

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)
