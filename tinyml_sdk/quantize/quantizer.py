"""`tinyml quantize` as a function: full int8 post-training quantization of a Keras model."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bench.inputs import quantize
from ..bench.tflm_reference import TflmReference
from ..errors import InputError, ToolError
from ..graph import ABSENT, DType, Graph, parse_graph
from ..progress import Progress, unseen
from .checking import LayerNames, RangeCheck, check_integer_only, check_ranges, check_trained_ranges
from .cost import Cost, cost_of
from .data import MIN_SAMPLES, Data, Dataset, check_there, load_dataset, save_dataset
from .int4_checking import check_int4_weights
from .job import (
    ACTIVATIONS,
    CALIBRATION,
    FACTS,
    FLOAT_OUTPUTS,
    FLOAT_TENSORS,
    GRANULARITIES,
    METHODS,
    QUANTIZED,
    VALIDATION,
    WEIGHTS,
    Activations,
    Granularity,
    Job,
    Method,
    Weights,
)
from .keras_file import check_keras_file
from .metrics import Metric, check_labels, metric_function
from .noise import layer_noise
from .process import Conversation, Worker, require_tensorflow
from .result import Accuracy, LayerNoise, LayerWeights, QuantizationResult

__all__ = ["quantize_model", "weight_entropy", "write_model"]

Array = npt.NDArray[Any]


def quantize_model(
    model: str | Path | Any,
    calibration: Data,
    *,
    output: str | Path | None = None,
    granularity: Granularity = "per-channel",
    method: Method = "minmax",
    percentile: float = 99.99,
    activations: Activations = "int8",
    weights: Weights = "int8",
    keep_int8: Sequence[str] = (),
    min_snr: float | None = None,
    validation: Data | None = None,
    metric: Metric = "accuracy",
    deadline: float = 1800.0,
    progress: Progress | None = None,
    worker: Worker | None = None,
) -> QuantizationResult:
    """Convert a Keras model to an int8 .tflite file, inputs and outputs included, and say what it cost.

    TensorFlow runs in a process of its own and is never imported here.

    Args:
        model: A .keras or .h5 file (also of Keras 2), a SavedModel folder, or a functional or sequential Keras model.
        calibration: Samples as the model will meet them, float32 in the model's units: an .npz file, an array of
            shape (N, *input), or arrays by the inputs' names. `labels` are ignored.
        output: File to write; none where None.
        granularity: One weight scale per channel, per tensor, or per channel but for dense layers.
        method: How activation ranges are chosen: `minmax` of what was seen, a `percentile` of it at either end, or
            the range with the least mean squared error (`mse`).
        percentile: For that method; above 50, at most 100.
        activations: `int16` computes in int16 with int8 weights, by TensorFlow Lite Micro only: `generate` and
            `benchmark` refuse such a file. Its ranges are those of `minmax`.
        weights: `int4` gives convolutions, depthwise ones and dense layers weights of four bits, in the scales with the
            least squared error; dense layers one scale each, as TensorFlow Lite Micro has no other for them.
        keep_int8: Layers that keep weights of eight bits all the same, by name; `first` and `last` stand for the ends.
        min_snr: So do layers whose outputs would fall below it, in decibels, for their int4 weights alone.
        validation: Samples with `labels`, to judge both models by.
        metric: Of `metrics.METRICS`, or a function of labels and outputs.
        deadline: Seconds the conversion may take, and again each run of the int8 interpreter.
        progress: Called with a stage, and how many of its steps are over.
        worker: A process to share between several calls; one of its own where None.

    Raises:
        InputError: the model, the data or an option cannot be used.
        ModelError: the converter refused the model, a layer stayed float, or `tinyml` does not support an operator.
        MissingToolError: TensorFlow is not installed.
        ToolError: the converter crashed or missed the deadline, or a chosen range got lost.
    """
    _check_options(granularity, method, percentile, activations)
    _check_weights(weights, activations, keep_int8, min_snr)
    metric_function(metric)
    report = progress or unseen
    for data, what in ((calibration, "calibration"), (validation, "validation")):
        if data is not None:
            check_there(data, what)
    require_tensorflow()
    own_worker = Worker() if worker is None else nullcontext(worker)
    with tempfile.TemporaryDirectory(prefix="tinyml-quantize-") as name, own_worker as process:
        folder = Path(name)
        path = _model_path(model, folder)
        job = Job(
            model=str(path.resolve()),
            name=path.name,
            granularity=granularity,
            method=method,
            percentile=percentile,
            activations=activations,
            weights=weights,
            keep_int8=tuple(keep_int8),
            min_snr=min_snr,
        )
        with Conversation(process, folder, job, deadline, report) as conversation:
            done = _convert(conversation, folder, calibration, validation)
        result = _result(done, job, metric, folder, deadline, report)
    if output is not None:
        write_model(Path(output), result.content)
    return result


def _check_options(granularity: str, method: str, percentile: float, activations: str) -> None:
    for value, choices, what in (
        (granularity, GRANULARITIES, "granularity"),
        (method, METHODS, "method"),
        (activations, ACTIVATIONS, "dtype of activations"),
    ):
        if value not in choices:
            raise InputError(f"{value!r} is no {what}", where="quantize", hint=f"choose one of {', '.join(choices)}")
    if not 50 < percentile <= 100:
        raise InputError(f"a percentile of {percentile:g}", where="quantize", hint="give one above 50, at most 100")
    if activations == "int16" and method != "minmax":
        raise InputError(
            f"int16 activations with ranges by {method}",
            where="quantize",
            hint="use minmax: int16 has the steps to cover all that is seen",
        )


def _check_weights(weights: str, activations: str, keep_int8: Sequence[str], min_snr: float | None) -> None:
    if weights not in WEIGHTS:
        raise InputError(
            f"{weights!r} is no dtype of weights", where="quantize", hint=f"choose one of {', '.join(WEIGHTS)}"
        )
    if isinstance(keep_int8, str):
        raise InputError("keep_int8 is a string", where="quantize", hint="give a list of layers' names")
    if weights == "int8":
        if keep_int8 or min_snr is not None:
            option = "layers to keep int8" if keep_int8 else "a least signal-to-noise"
            raise InputError(
                f"{option}, where all are int8", where="quantize", hint="these go with int4 weights (--weights int4)"
            )
        return
    if activations != "int8":
        raise InputError(
            f"int4 weights with {activations} activations",
            where="quantize",
            hint="use int8 activations: TensorFlow Lite Micro has int4 weights with no others",
        )
    if min_snr is not None and not math.isfinite(min_snr):
        raise InputError(f"a least signal-to-noise of {min_snr}", where="quantize", hint="give decibels, such as 15")


def _model_path(model: str | Path | Any, folder: Path) -> Path:
    """The file of a model; a model in memory is saved to `folder`."""
    if not isinstance(model, (str, Path)):
        return _saved(model, folder)
    path = Path(model)
    if not path.exists():
        raise InputError("there is no such file", where=str(path), hint="check the path")
    if path.suffix == ".tflite":
        raise InputError(
            "is converted already", where=path.name, hint="give the Keras model it was made from, or run `tinyml bench`"
        )
    readable = (path / "saved_model.pb").is_file() if path.is_dir() else path.suffix in (".keras", ".h5", ".hdf5")
    if not readable:
        raise InputError(
            "is no Keras model",
            where=path.name,
            hint="give a .keras or .h5 file, or a folder with saved_model.pb (from model.export('folder'))",
        )
    if path.is_file():
        check_keras_file(path)
    return path


def _saved(model: Any, folder: Path) -> Path:
    if not {"Functional", "Sequential"} & {base.__name__ for base in type(model).__mro__}:
        raise InputError(
            f"a {type(model).__name__} is no functional or sequential Keras model",
            where="model",
            hint="rebuild it with the functional API, or model.export('folder') and quantize that folder",
        )
    path = folder / f"{''.join(c if c.isalnum() or c in '-_' else '_' for c in str(model.name)) or 'model'}.keras"
    model.save(path)
    return path


# -- conversion ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Converted:
    """What is in the folder after the worker, and the data it was made with."""

    loaded: dict[str, Any]
    facts: dict[str, Any]
    content: bytes
    calibration: Dataset
    validation: Dataset | None

    @property
    def layer_weights(self) -> tuple[LayerWeights, ...]:
        """What became of each layer's weights where int4 was asked for."""
        return tuple(LayerWeights(**layer) for layer in self.facts["layer_weights"])

    def names(self, graph: Graph) -> LayerNames:
        """The Keras model's. The converter calls outputs `Identity`, so these are told apart by position."""
        outputs = [graph.tensors[index].name for index in graph.outputs]
        return LayerNames(self.facts["scopes"] | dict(zip(outputs, self.loaded["outputs"], strict=False)))

    def renamed(self, graph: Graph) -> dict[str, str]:
        """The converted model's names of those tensors of the float model that are called otherwise there.

        The converter renames inputs and outputs where it takes DEQUANTIZE and QUANTIZE away, and numbers a tensor
        (`conv_transpose1` to `conv_transpose11`) where a constant now has its name.
        """
        floats = (*self.facts["inputs"], *self.facts["outputs"])
        indices = (*graph.inputs, *graph.outputs)
        names = {name: graph.tensors[index].name for name, index in zip(floats, indices, strict=True)}
        computed = {graph.tensors[index].name for op in graph.ops for index in op.outputs}
        new = computed.difference(self.facts["tensors"], names.values())
        for name in self.facts["tensors"]:
            numbered = [other for other in new if re.fullmatch(rf"{re.escape(name)}\d+", other)]
            if name not in computed and name not in names and len(numbered) == 1:
                names[name] = numbered[0]
        return names


def _convert(conversation: Conversation, folder: Path, calibration: Data, validation: Data | None) -> _Converted:
    loaded = conversation.wait_loaded()
    inputs = [(spec["name"], tuple(spec["shape"])) for spec in loaded["inputs"]]
    samples = load_dataset(calibration, inputs, folder, "calibration", least=MIN_SAMPLES, labels=False)
    save_dataset(samples, folder / CALIBRATION)
    judged = None
    if validation is not None:
        judged = load_dataset(validation, inputs, folder, "validation", least=1, labels=True)
        save_dataset(judged, folder / VALIDATION)
    conversation.convert()
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return _Converted(loaded, facts, (folder / QUANTIZED).read_bytes(), samples, judged)


# -- what came of it ----------------------------------------------------------------------------------------------


def _result(
    done: _Converted, job: Job, metric: Metric, folder: Path, deadline: float, progress: Progress
) -> QuantizationResult:
    graph, cost, ranges = _checked(done, job, folder)
    layers: tuple[LayerNoise, ...] = ()
    reference = TflmReference(done.content, deadline=deadline)
    runs, not_run = TflmReference.available(), None
    if runs:
        try:
            layers = _noise(done, job, folder, graph, reference, progress)
        except ToolError as error:
            if job.activations == "int8":
                raise
            runs, not_run = False, error.message
    accuracy = None
    if done.validation is not None:
        accuracy = _accuracy(done.validation, metric, folder, graph, reference if runs else None, progress)
    return QuantizationResult(
        content=done.content,
        source=job.name,
        sha256=hashlib.sha256(done.content).hexdigest(),
        granularity=job.granularity,
        method=job.method,
        percentile=job.percentile if job.method == "percentile" else None,
        calibration_samples=len(done.calibration),
        parameters=done.loaded["parameters"],
        macs=cost.macs,
        weight_bytes=cost.weight_bytes,
        file_bytes=len(done.content),
        gzip_bytes=len(gzip.compress(done.content, 9, mtime=0)),
        entropy_bits=weight_entropy(graph),
        ranges=ranges,
        accuracy=accuracy,
        layers=layers,
        activations=job.activations,
        not_run=not_run,
        weights=job.weights,
        weight_bytes_for_size=cost.weight_bytes_for_size,
        layer_weights=done.layer_weights,
    )


def _checked(done: _Converted, job: Job, folder: Path) -> tuple[Graph, Cost, RangeCheck]:
    """As asked throughout, every operator supported, the chosen ranges in place."""
    graph = parse_graph(done.content, f"{Path(job.name).stem}.tflite")
    check_integer_only(graph, done.names(graph), job.activations)
    check_int4_weights(graph, done.layer_weights)
    cost = cost_of(graph, done.content, folder, job.activations, job.weights)
    observed, chosen = (
        {key: tuple(value) for key, value in done.facts[which].items()} for which in ("observed", "chosen")
    )
    ranges = check_ranges(graph, observed, chosen, strict=job.method != "minmax")
    renamed = done.renamed(graph)
    chosen |= {renamed[name]: ends for name, ends in chosen.items() if name in renamed}
    trained = {layer: [renamed.get(name, name) for name in members] for layer, members in done.facts["trained"].items()}
    return graph, cost, replace(ranges, trained=check_trained_ranges(graph, trained, chosen))


def _noise(
    done: _Converted, job: Job, folder: Path, graph: Graph, reference: TflmReference, progress: Progress
) -> tuple[LayerNoise, ...]:
    from .float_runner import spread

    with np.load(folder / FLOAT_TENSORS, allow_pickle=False) as archive:
        tensors = {name: archive[f"t{index}"] for index, name in enumerate(done.facts["tensors"])}
    for name, final in done.renamed(graph).items():
        tensors[final] = tensors[name]
    positions = spread(len(done.calibration), job.noise_samples)
    inputs = _stored_inputs(done.calibration, graph, positions)
    return layer_noise(graph, reference, inputs, tensors, done.names(graph), progress)


def _stored_inputs(dataset: Dataset, graph: Graph, positions: Sequence[int]) -> list[list[Array]]:
    columns = list(zip(dataset.columns, graph.input_tensors, strict=True))
    return [[quantize(column[position : position + 1], tensor) for column, tensor in columns] for position in positions]


def _accuracy(
    dataset: Dataset, metric: Metric, folder: Path, graph: Graph, reference: TflmReference | None, progress: Progress
) -> Accuracy:
    with np.load(folder / FLOAT_OUTPUTS, allow_pickle=False) as archive:
        floats = archive["outputs"]
    labels = dataset.labels
    assert labels is not None
    check_labels(labels, floats.shape[1:], metric, "validation data")
    judge = metric_function(metric)
    judged = None
    if reference is not None:
        progress("running the converted model", 0, 1)
        rows = reference.run(_stored_inputs(dataset, graph, range(len(dataset))))
        output = graph.output_tensors[0]
        stored = np.concatenate([row[0] for row in rows]).astype(np.float64).reshape(floats.shape)
        judged = judge(labels, (stored - output.zero_point) * output.scale)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
    return Accuracy(name, len(dataset), judge(labels, floats.astype(np.float64)), judged)


def weight_entropy(graph: Graph) -> float:
    """Shannon entropy in bits of the int8 constants that ops read, all of them as one distribution; 0 without any."""
    read = {index for op in graph.ops for index in op.inputs if index != ABSENT}
    constants = [graph.tensors[index] for index in sorted(read) if graph.tensors[index].dtype is DType.INT8]
    arrays = [tensor.data.ravel() for tensor in constants if tensor.data is not None]
    if not arrays:
        return 0.0
    counts = np.bincount(np.concatenate(arrays).astype(np.int64) + 128, minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return float(-np.sum(shares * np.log2(shares))) + 0.0


def write_model(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, its folder made where there is none. Raises InputError where it cannot be."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the file: {error.strerror or error}", where=str(path), hint="choose a file you may write to"
        ) from error
