"""`tinyml compress` as a function: a recipe's stages one after the other, each measured on the int8 model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, ModelError, TinymlError, ToolError
from ..quantize import QuantizationResult, quantize_model
from ..quantize.data import check_there
from ..quantize.loading import read_keras
from ..quantize.metrics import check_labels, metric_function
from ..quantize.process import Worker, require_tensorflow
from .checkpoints import Checkpoints, Progressed, fingerprints
from .data import Samples, TrainingData, hold_out, load_training_data
from .loading import check_source, load_source
from .quiet import import_tensorflow
from .recipe import Recipe, load_recipe, parse_recipe
from .result import CompressionResult, Cost, StageReport
from .saving import save_model
from .stages import StageOutcome, State, Workshop, apply_stage, check_in_time, names_left
from .training import Progress, choose_loss

__all__ = ["compress", "compress_model"]

HELD_OUT = 0.2
"""Of the training data, where there is no validation data."""


def compress(
    model: str | Path | Any,
    data: TrainingData,
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    validation: TrainingData | None = None,
    output: str | Path | None = None,
    work: str | Path | None = None,
    progress: Progress | None = None,
    finished: Callable[[CompressionResult], None] | None = None,
) -> CompressionResult:
    """Make a Keras model smaller, stage by stage, and say after each what it cost, on the int8 model itself.

    TensorFlow is imported into this process.

    Args:
        model: A .keras or .h5 file (also of Keras 2), a SavedModel folder of Keras 2, or a functional or sequential
            Keras model, which is left as it is. One input or several, one output.
        data: Training samples: an .npz file with inputs (as for `quantize_model`) and `labels`, arrays by name,
            (inputs, labels), or a finite tf.data.Dataset of batches of such pairs. Without labels the model must be an
            autoencoder.
        recipe: A `Recipe`, the same as a dictionary, or the path of a YAML file.
        validation: Samples to judge by. Where None, a fifth of the training data is held out for it.
        output: .keras file to write; none where None.
        work: Folder for the model after each stage: a second call with the same model, data and recipe goes on behind
            the last stage that was finished. None: nothing is kept.
        progress: Called with a stage, steps done, steps in all, and a word on how it goes.
        finished: Called after each stage with the result so far.

    Raises:
        InputError: the model, the data or the recipe cannot be used; training diverged.
        ModelError: a stage's model does not convert to int8.
        MissingToolError: TensorFlow is not installed.
        ToolError: the converter crashed, or memory ran out.
    """
    steps = _checked_recipe(recipe)
    metric_function(steps.metric)
    check_source(model)
    for given_data, option in ((data, "data"), (validation, "validation")):
        if isinstance(given_data, (str, Path)):
            check_there(given_data, option)
    require_tensorflow()
    report = progress or _silent
    report("loading TensorFlow", 0, 1)
    import_tensorflow()
    given, source = load_source(model)
    with Worker() as worker:
        bench = _Measurement(given, source, steps, worker, report)
        training, judged, held_out = bench.samples(data, validation)
        workshop = _workshop(given, steps, training, judged, bench.progress)

        def so_far(progressed: Progressed, quantized: QuantizationResult) -> CompressionResult:
            return CompressionResult(
                model=progressed.model,
                quantized=quantized,
                source=source,
                metric=steps.metric,
                samples=(len(training), len(judged)),
                held_out=held_out,
                seed=steps.seed,
                stages=progressed.reports,
            )

        def tell(progressed: Progressed, quantized: QuantizationResult) -> None:
            if finished is not None:
                finished(so_far(progressed, quantized))

        result = so_far(*_run(workshop, bench, None if work is None else Path(work), tell))
    if output is not None:
        save_model(result.model, Path(output))
    return result


compress_model = compress
"""The name of the function in `tinyml_sdk`, where `compress` is the package."""


def _silent(stage: str, done: int, total: int, detail: str = "") -> None:
    """Nobody listens."""


def _checked_recipe(recipe: Recipe | str | Path | Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return load_recipe(recipe) if isinstance(recipe, (str, Path)) else parse_recipe(recipe)


class _Measurement:
    """Judges models: their samples, and their int8 versions."""

    def __init__(self, model: Any, source: str, recipe: Recipe, worker: Worker, progress: Progress) -> None:
        self._original = model
        self._source = source
        self._worker = worker
        self._recipe = recipe
        self.progress = progress
        self._inputs = [(tensor.name, (1, *tensor.shape[1:])) for tensor in model.inputs]
        if len(model.outputs) != 1:
            raise InputError(
                f"has {len(model.outputs)} outputs", where=source, hint="compress takes models with one output"
            )
        self._output = tuple(model.outputs[0].shape[1:])
        self._calibration: Samples | None = None
        self._validation: Samples | None = None

    def samples(self, data: TrainingData, validation: TrainingData | None) -> tuple[Samples, Samples, bool]:
        """Training samples, validation samples, and whether these were taken from those."""
        training = load_training_data(data, self._inputs, self._output, "training")
        check_labels(training.labels, self._output, self._recipe.metric, "training data")
        if validation is None:
            training, judged = hold_out(training, HELD_OUT, self._recipe.seed)
        else:
            judged = load_training_data(validation, self._inputs, self._output, "validation")
            check_labels(judged.labels, self._output, self._recipe.metric, "validation data")
        self._calibration = training.first(self._recipe.quantize.samples)
        self._validation = judged
        return training, judged, validation is None

    def quantized(self, model: Any, stage: str) -> QuantizationResult:
        """The int8 version of a model and its accuracy."""
        assert self._calibration is not None
        assert self._validation is not None
        how = self._recipe.quantize
        names = [name for name, _ in self._inputs]

        def progress(step: str, done: int, total: int) -> None:
            self.progress(f"measuring {stage}: {step}", done, total)

        try:
            with tempfile.TemporaryDirectory(prefix="tinyml-compress-") as folder:
                path = Path(folder) / self._file(stage)
                save_model(model, path)
                return quantize_model(
                    path,
                    self._calibration.by_name(names),
                    granularity=how.granularity,
                    method=how.method,
                    percentile=how.percentile,
                    activations=how.activations,
                    weights=how.weights,
                    keep_int8=names_left(how.keep_int8, model, self._original),
                    min_snr=how.min_snr,
                    validation=self._validation.by_name(names),
                    metric=self._recipe.metric,
                    progress=progress,
                    worker=self._worker,
                )
        except ModelError as error:
            raise ModelError(error.message, where=f"after {stage}: {error.where}", hint=error.hint) from error

    def _file(self, stage: str) -> str:
        stem = Path(self._source).stem
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in stem) or "model"
        return f"{safe}.keras" if stage == "original" else f"{safe}_{stage}.keras"


def _workshop(model: Any, recipe: Recipe, training: Samples, judged: Samples, progress: Progress) -> Workshop:
    import keras
    import tensorflow as tf

    for place, stage in enumerate(recipe.steps, 1):
        with _located(place, stage.stage):
            check_in_time(stage, recipe, model)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    loss = choose_loss(model, training.labels, recipe.loss)
    return Workshop(recipe, model, loss, training, judged, progress)


def _run(
    workshop: Workshop, bench: _Measurement, work: Path | None, tell: Callable[[Progressed, QuantizationResult], None]
) -> tuple[Progressed, QuantizationResult]:
    """All stages, from the last one that was finished before; `tell` hears of each."""
    recipe = workshop.recipe
    checkpoints = None if work is None else Checkpoints(work, _fingerprints(workshop))
    done = None if checkpoints is None else checkpoints.resume(lambda path: read_keras(path, path.name))
    quantized: QuantizationResult | None = None
    if done is None:
        done = Progressed(workshop.original, (), frozenset(), frozenset())
    for place in range(len(done.reports), len(recipe.steps) + 1):
        done, quantized = _stage(place, done, workshop, bench)
        if checkpoints is not None:
            checkpoints.save(done)
        tell(done, quantized)
    if quantized is None:  # all stages had been finished before
        quantized = bench.quantized(done.model, done.reports[-1].name)
    return done, quantized


def _stage(
    place: int, before: Progressed, workshop: Workshop, bench: _Measurement
) -> tuple[Progressed, QuantizationResult]:
    """One stage and its measurement; the first is the model as it came."""
    import keras

    start = time.monotonic()
    state = State(before.model, before.zeros, before.shared)
    if place == 0:
        name, outcome = "original", StageOutcome(state)
    else:
        stage = workshop.recipe.steps[place - 1]
        name = stage.stage
        # Of its own for each stage, so that a resumed recipe ends where an uninterrupted one does.
        keras.utils.set_random_seed(workshop.recipe.seed + place)
        workshop.progress(name, 0, 1)
        with _located(place, name):
            outcome = apply_stage(stage, state, workshop)
    after = outcome.state
    quantized = bench.quantized(after.model, name)
    report = StageReport(
        name=name,
        seconds=round(time.monotonic() - start, 1),
        training=outcome.training,
        details=outcome.details,
        cost=Cost.of(int(after.model.count_params()), _nonzero(after.model), quantized),
    )
    return Progressed(after.model, (*before.reports, report), after.zeros, after.shared), quantized


@contextmanager
def _located(place: int, name: str) -> Iterator[None]:
    """Errors say in which stage, and memory that ran out is one."""
    import tensorflow as tf

    stage = f"stage {place}, {name}"
    try:
        yield
    except TinymlError as error:
        inner = error.where.removeprefix(name.replace("_", " ")).removeprefix(": ")
        error.where = f"{stage}: {inner}" if inner else stage
        raise
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        hint = "lower batch_size, or the stage's samples, or take a machine with more memory"
        raise ToolError("out of memory", where=stage, hint=hint) from error


def _nonzero(model: Any) -> int:
    return sum(int(np.count_nonzero(array)) for array in model.get_weights())


def _fingerprints(workshop: Workshop) -> list[str]:
    recipe = workshop.recipe
    common = recipe.model_dump(exclude={"stages", "training"}, mode="json")
    steps = [{**common, "quantize": recipe.quantize.model_dump(mode="json")}]
    for stage in recipe.steps:
        training = recipe.training_of(stage)
        own = stage.model_dump(mode="json", exclude={"fine_tune"})
        steps.append({**own, "training": None if training is None else training.model_dump(mode="json")})
    return fingerprints(workshop.original, (workshop.training, workshop.validation), steps)
