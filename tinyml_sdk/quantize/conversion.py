"""Runs in the worker: TensorFlow's converter, in two steps with the activation ranges in our hands between them.

The converter is stopped after calibration. What it gives then is the float model as it will be quantized, batch norms
folded and activations fused, with the least and greatest value of every activation noted in the file. For another
method than min-max these notes are overwritten in place, and the converter quantizes from there, so that a chosen range
becomes a scale without any detour; biases are scaled to match. `checking.py` proves it on the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, ModelError
from ..graph import parse_graph
from ..progress import Progress
from .checking import LayerNames
from .float_runner import FloatRunner, Samples, spread
from .int4_layers import make_int4
from .job import Granularity, Job
from .loading import FloatModel
from .ranges import Histogram, mse_range, percentile_range
from .recurrent import LstmTensors, cell_range, find_lstms
from .result import LayerWeights
from .trained import assign_ranges, check_as_trained

__all__ = ["Conversion", "convert"]

Array = npt.NDArray[Any]
Ranges = dict[str, tuple[float, float]]

_MOST_PASSES = 4  # over the samples; each can look 16 times closer at the least


@dataclass(frozen=True)
class Conversion:
    """What came of it.

    Attributes:
        content: The int8 .tflite file.
        observed: Least and greatest value of each activation, by tensor name.
        chosen: The ranges it was quantized with.
        trained: Those of them that quantization-aware training found: tensor names by `ActivationRange` layer.
        tensors: The float model's activations by tensor name, float32 (samples, *shape), for the noise samples.
        inputs, outputs: Names of the float graph's inputs and outputs, in order.
        layer_weights: What became of each layer's weights where int4 was asked for.
    """

    content: bytes
    observed: Ranges
    chosen: Ranges
    trained: dict[str, list[str]]
    tensors: dict[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer_weights: tuple[LayerWeights, ...] = ()


def convert(model: FloatModel, samples: Samples, job: Job, progress: Progress) -> Conversion:
    """Calibrate, choose ranges, quantize.

    Args:
        model: From `load_model`.
        samples: Calibration data: for each input float32 of shape (N, *shape without the batch).
        job: The options.
        progress: Called with a stage and how many of its steps are over.

    Raises:
        ModelError: the converter refused the model.
        InputError: activations that are not finite, or no layer that could have int4 weights as asked for.
    """
    check_as_trained(model.granularity, model.int4_layers, job)
    calibrated = bytearray(_calibrated(model, samples, job, progress))
    notes = _notes(calibrated)
    runner = FloatRunner(bytes(calibrated), samples)
    lstms = find_lstms(parse_graph(bytes(calibrated), job.name)) if model.lstms else []
    hidden = {name for lstm in lstms for name in lstm.hidden}
    observed = {name: (float(low[0]), float(high[0])) for name, (low, high) in notes.items() if name not in hidden}
    cells: Ranges = {}
    if lstms:
        observed, cells = _measured_anew(runner, observed, lstms, progress)
    _check_finite(observed, job.name)
    chosen = observed if job.method == "minmax" else observed | _chosen(runner, observed, job, progress)
    for name, (low, high) in (chosen | _shared(chosen, lstms) | cells).items():
        notes[name][0][0], notes[name][1][0] = low, high
    for lstm, layer in zip(lstms, model.lstms, strict=False):
        model.scopes.update(dict.fromkeys(lstm.made, layer))
    tensors = runner.keep(observed, job.noise_samples)
    trained = _trained(model, samples, tensors, job, notes)
    chosen = {name: (float(notes[name][0][0]), float(notes[name][1][0])) for name in chosen}
    progress("quantizing", 0, 1)
    content = _quantized(bytes(calibrated), job) if job.activations == "int8" else _int16(calibrated, samples, job)
    layer_weights: tuple[LayerWeights, ...] = ()
    if job.weights == "int4":
        names = LayerNames(model.scopes | dict(zip(runner.outputs, model.outputs, strict=False)))
        positions = spread(len(samples[0]), job.noise_samples)
        few = [array[positions] for array in samples]
        content, layer_weights = make_int4(content, bytes(calibrated), few, names, job, model.int4_layers, progress)
    return Conversion(content, observed, chosen, trained, tensors, runner.inputs, runner.outputs, layer_weights)


def _trained(
    model: FloatModel, samples: Samples, tensors: dict[str, Array], job: Job, notes: dict[str, tuple[Array, Array]]
) -> dict[str, list[str]]:
    """Write the ranges of quantization-aware training into the notes, and say of which tensors they are."""
    positions = spread(len(samples[0]), job.noise_samples)
    ranges = model.trained([array[positions] for array in samples])
    found = assign_ranges(ranges, tensors, LayerNames(model.scopes), job.name)
    ends = {place.layer: (place.low, place.high) for place in ranges}
    for layer, members in found.items():
        for name in members:
            notes[name][0][0], notes[name][1][0] = ends[layer]
    return found


def _calibrated(model: FloatModel, samples: Samples, job: Job, progress: Progress) -> bytes:
    """The float .tflite file with the range of every activation in it."""
    import tensorflow as tf

    count = len(samples[0])

    def representative() -> Iterator[list[Array]]:
        for index in range(count):
            progress("calibrating", index, count)
            yield [array[index : index + 1] for array in samples]

    converter = model.converter()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    converter._experimental_calibrate_only = True
    _set_granularity(converter, job.granularity)
    progress("converting", 0, 1)
    with _refusal(job):
        content: bytes = bytes(converter.convert())
    return content


def _set_granularity(converter: Any, granularity: Granularity) -> None:
    """These decide how constants are folded here; how weights are quantized is decided again in `_quantized`."""
    converter._experimental_disable_per_channel = granularity == "per-tensor"
    converter._experimental_disable_per_channel_quantization_for_dense_layers = granularity == "per-tensor-dense"


def _quantized(calibrated: bytes, job: Job) -> bytes:
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    with _refusal(job):
        content: bytes = bytes(
            mlir_quantize(
                calibrated,
                disable_per_channel=job.granularity == "per-tensor",
                input_data_type=tf.int8,
                output_data_type=tf.int8,
                disable_per_channel_for_dense_layers=job.granularity == "per-tensor-dense",
            )
        )
    return content


def _int16(calibrated: bytearray, samples: Samples, job: Job) -> bytes:
    """Int16 activations and int8 weights: the converter's older quantizer, which calibrates once more by itself."""
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    def representative() -> Iterator[list[Array]]:
        return ([array[index : index + 1] for array in samples] for index in range(len(samples[0])))

    with _refusal(job):
        content: bytes = bytes(
            Calibrator(bytes(calibrated)).calibrate_and_quantize(
                representative,
                tf.int16,
                tf.int16,
                allow_float=False,
                activations_type=tf.int16,
                bias_type=tf.int64,
                disable_per_channel=job.granularity == "per-tensor",
                disable_per_channel_quantization_for_dense_layers=job.granularity == "per-tensor-dense",
            )
        )
    return content


@contextmanager
def _refusal(job: Job) -> Iterator[None]:
    """Any exception of the converter becomes one ModelError: it documents none, and its messages are pages."""
    try:
        yield
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)
        raise ModelError(
            f"TensorFlow's converter refused the model: {said[:300]}",
            where=job.name,
            hint=_way_out(job),
        ) from error


def _way_out(job: Job) -> str:
    if job.activations == "int16" and job.granularity == "per-tensor":
        return "use per-channel weights: with int16 activations the converter fails on per-tensor depthwise layers"
    return f"replace the layer it names by one that TensorFlow Lite has in {job.activations}"


# -- the calibrated file ------------------------------------------------------------------------------------------


def _notes(calibrated: bytearray) -> dict[str, tuple[Array, Array]]:
    """Views of the least and greatest value of each activation: writing to them changes the file."""
    from tensorflow.lite.python import schema_py_generated as schema

    root: Any = schema.Model.GetRootAs
    graph = root(calibrated, 0).Subgraphs(0)
    found = {}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        noted = tensor.Quantization()
        if noted is not None and noted.MinLength() == 1 and noted.MaxLength() == 1:
            found[tensor.Name().decode()] = (noted.MinAsNumpy(), noted.MaxAsNumpy())
    return found


def _check_finite(ranges: Mapping[str, tuple[float, float]], name: str) -> None:
    for tensor, (low, high) in ranges.items():
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(
                f"the float model computes values from {low:g} to {high:g} on the calibration data",
                where=f"{name}: {tensor.partition(';')[0]}",
                hint="the model overflows: check its weights and the scale of the data",
            )


def _measured_anew(
    runner: FloatRunner, ranges: Ranges, lstms: Sequence[LstmTensors], progress: Progress
) -> tuple[Ranges, Ranges]:
    """Least and greatest values with the states reset before each sample: of the tensors in `ranges`, and of cells."""
    weights = {
        name: runner.constant(name)
        for lstm in lstms
        for name in (*lstm.input_weights, *lstm.output_weights, *lstm.biases)
    }
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ranges}
    cells: dict[str, list[tuple[float, float]]] = {lstm.cell: [] for lstm in lstms}
    for index in range(runner.count):
        progress("measuring activations", index, runner.count)
        tensors = dict(runner.run(index, ranges))
        for name, values in tensors.items():
            seen[name].append((float(values.min()), float(values.max())))
        for lstm in lstms:
            cells[lstm.cell].append(cell_range(lstm, tensors | weights))
    return _joined(seen), _joined(cells)


def _shared(chosen: Ranges, lstms: Sequence[LstmTensors]) -> Ranges:
    """For each LSTM the one range of its output, of its state, and of what other layers make of the output's bytes.

    The converter would give the output the scale of a concatenation behind it, and the state its own.
    """
    shared: Ranges = {}
    for lstm in lstms:
        ends = [chosen[name] for name in lstm.peers if name in chosen]
        whole = min(low for low, _ in ends), max(high for _, high in ends)
        shared |= dict.fromkeys(
            (*(name for name in lstm.peers if name in chosen), lstm.state, lstm.intermediate), whole
        )
    return shared


def _joined(ranges: Mapping[str, Sequence[tuple[float, float]]]) -> Ranges:
    return {name: (min(low for low, _ in all_), max(high for _, high in all_)) for name, all_ in ranges.items()}


def _chosen(runner: FloatRunner, observed: Mapping[str, tuple[float, float]], job: Job, progress: Progress) -> Ranges:
    """The range of each activation by the job's method."""
    if job.method == "mse":
        return {name: mse_range(histogram) for name, histogram in _measured(runner, observed, progress).items()}
    chosen: Ranges = {}
    open_ranges = dict(observed)
    for _ in range(_MOST_PASSES):
        histograms = _measured(runner, open_ranges, progress)
        found = {name: percentile_range(histogram, job.percentile) for name, histogram in histograms.items()}
        chosen.update(found)
        # An outlier far away leaves few bins to all the rest: look again, between the ends that were found.
        open_ranges = {name: ends for name, ends in found.items() if histograms[name].is_coarse(*ends)}
        if not open_ranges:
            break
    return chosen


def _measured(
    runner: FloatRunner, ranges: Mapping[str, tuple[float, float]], progress: Progress
) -> dict[str, Histogram]:
    """Histograms of the tensors in `ranges`, each between the two ends, over all samples."""
    histograms = {name: Histogram.between(low, high) for name, (low, high) in ranges.items()}
    for index in range(runner.count):
        progress("measuring activations", index, runner.count)
        for name, values in runner.run(index, histograms):
            histograms[name].add(values)
    return histograms
