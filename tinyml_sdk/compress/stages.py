"""One function for each kind of stage: a model in, another out, with what there is to say about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import InputError
from ..quantize.loading import check_keras, read_keras
from . import recipe as recipes
from .data import Samples
from .distil.distillation import Distillation, FeatureMatch
from .filters.pruning import prune_filters
from .low_rank.factorizing import low_rank
from .qat import bake, check_trainable, fold_affine, prepare
from .training import Objective, Progress, TrainingReport, packed, train
from .weight_layers import cloned, layer_kernels, selected_kernels
from .weights.clustering import cluster_weights
from .weights.pruning import gradual_pruning, layer_sparsities, prune_weights

__all__ = ["StageOutcome", "State", "Workshop", "apply_stage", "check_in_time", "names_left"]

CALIBRATION_SAMPLES = 256


@dataclass(frozen=True)
class State:
    """What goes from stage to stage.

    Attributes:
        model: The Keras model.
        zeros: Layers whose zero weights must stay zero.
        shared: Layers whose equal weights must stay equal.
    """

    model: Any
    zeros: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()

    def of_model(self, model: Any) -> State:
        """The same for another model: layers that are gone are forgotten."""
        names = layer_kernels(model).keys()
        return State(model, self.zeros & names, self.shared & names)


@dataclass(frozen=True)
class StageOutcome:
    """What a stage did: the state after it, what it says of itself, and its training."""

    state: State
    details: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingReport | None = None


@dataclass(frozen=True)
class Workshop:
    """What all stages share.

    Attributes:
        recipe: The whole.
        original: The model before its first stage.
        loss: A Keras loss.
        training, validation: Samples.
        progress: See `training.Progress`.
    """

    recipe: recipes.Recipe
    original: Any
    loss: Any
    training: Samples
    validation: Samples
    progress: Progress

    def fine_tune(self, state: State, stage: Any, **options: Any) -> tuple[State, TrainingReport | None]:
        """Train after a stage, where its recipe says so."""
        how = self.recipe.training_of(stage)
        if how is None:
            return state, None
        model = cloned(state.model)
        return replace(state, model=model), self.train(model, state, how, stage.stage, **options)

    def train(self, model: Any, state: State, how: recipes.Training, name: str, **options: Any) -> TrainingReport:
        """Train a model in place, with what the state says held."""
        teacher = None if how.distil is None else self._teacher(how.distil)
        objective = Objective(self.loss, self.training, self.validation, teacher, state.zeros, state.shared)
        what = "fine-tuning" if name == "fine_tune" else f"fine-tuning after {name}"
        return train(model, objective, how, what=what, progress=self.progress, **options)

    def _teacher(self, how: recipes.Distil) -> Distillation:
        teacher = self.original
        if how.teacher != "original":
            path = Path(how.teacher)
            _check_teacher(path)
            teacher = read_keras(path, path.name)
            check_keras(teacher, path.name)
        return Distillation(
            teacher,
            temperature=how.temperature,
            alpha=how.alpha,
            features=tuple(FeatureMatch(pair.student, pair.teacher, pair.weight) for pair in how.features),
            attention=tuple(FeatureMatch(pair.student, pair.teacher, pair.weight) for pair in how.attention),
        )


def check_in_time(stage: Any, recipe: recipes.Recipe, model: Any) -> None:
    """Tell before any stage what would otherwise be told when those in front of this one have trained for hours.

    Raises:
        InputError: a teacher that is not there; a layer of the model to begin with that cannot be trained for int8.
    """
    how = recipe.training_of(stage)
    if how is not None and how.distil is not None and how.distil.teacher != "original":
        _check_teacher(Path(how.distil.teacher))
    if isinstance(stage, recipes.QuantizeAware):
        check_trainable(model)


def _check_teacher(path: Path) -> None:
    if not path.is_file():
        hint = "give the path of a .keras or .h5 file, or the word original"
        raise InputError("there is no such teacher", where=str(path), hint=hint)


def apply_stage(stage: Any, state: State, workshop: Workshop) -> StageOutcome:
    """Run one stage.

    Raises:
        InputError: its parameters do not fit the model.
    """
    return _STAGES[type(stage)](stage, state, workshop)


def names_left(names: Sequence[str], model: Any, original: Any) -> tuple[str, ...]:
    """Names of layers without those that stages have taken out of the original model."""
    gone = {layer.name for layer in original.layers} - {layer.name for layer in model.layers}
    return tuple(name for name in names if name not in gone)


def _prune_weights(stage: recipes.PruneWeights, state: State, workshop: Workshop) -> StageOutcome:
    how = workshop.recipe.training_of(stage)
    aim: dict[str, Any] = {"pattern": stage.pattern, "scope": stage.scope, "overrides": stage.overrides}
    # Also where masks come gradually: it says which layers are pruned, and what cannot be, before anything is trained.
    once = prune_weights(state.model, sparsity=stage.sparsity, threshold=stage.threshold, **aim)
    pruned = {layer.layer for layer in once.layers}
    zeros = state.zeros | pruned
    # The means of clusters would fill gradual masks again.
    if how is None or stage.schedule == "once" or stage.threshold is not None or pruned & state.shared:
        done, report = workshop.fine_tune(replace(state, model=once.model, zeros=zeros), stage)
    else:
        model = cloned(state.model)
        steps = how.epochs * workshop.training.steps(how.batch_size)
        with gradual_pruning(model, steps, sparsity=stage.sparsity, end=stage.end, **aim) as schedule:
            first_epoch = math.ceil(stage.end * how.epochs)
            report = workshop.train(model, state, how, stage.stage, callbacks=[schedule], patience_from=first_epoch)
        done = replace(state, model=model, zeros=zeros)
    kernels = selected_kernels(done.model, pruned, "prune weights")
    return StageOutcome(done, {"layers": [asdict(layer) for layer in layer_sparsities(kernels)]}, report)


def _prune_filters(stage: recipes.PruneFilters, state: State, workshop: Workshop) -> StageOutcome:
    samples = workshop.training.first(stage.samples)
    pruned = prune_filters(
        state.model,
        ratio=stage.ratio,
        max_macs=stage.max_macs,
        max_weight_bytes=stage.max_weight_bytes,
        importance=stage.importance,
        overrides=stage.overrides,
        multiple=stage.multiple,
        inputs=packed(state.model, samples.columns),
        labels=samples.labels,
        loss=workshop.loss,
        samples=stage.samples,
    )
    done, report = workshop.fine_tune(state.of_model(pruned.model), stage)
    details = {
        "groups": [asdict(group) for group in pruned.groups],
        "locked": [asdict(locked) for locked in pruned.locked],
    }
    return StageOutcome(done, details, report)


def _low_rank(stage: recipes.LowRank, state: State, workshop: Workshop) -> StageOutcome:
    factorized = low_rank(
        state.model,
        energy=stage.energy,
        ratio=stage.ratio,
        ranks=stage.ranks,
        method=stage.method,
        layers=stage.layers,
    )
    gone = {layer.layer for layer in factorized.layers}
    kept = State(state.model, state.zeros - gone, state.shared - gone).of_model(factorized.model)
    done, report = workshop.fine_tune(kept, stage)
    details = {
        "layers": [asdict(layer) for layer in factorized.layers],
        "left": [{"layer": layer, "reason": reason} for layer, reason in factorized.left],
    }
    return StageOutcome(done, details, report)


def _cluster(stage: recipes.Cluster, state: State, workshop: Workshop) -> StageOutcome:
    # The converter will fold batch norms into the weights, which gives each channel of a codebook a scale of its own.
    clustered = cluster_weights(
        fold_affine(state.model),
        clusters=stage.clusters,
        init=stage.init,
        layers=stage.layers,
        seed=workshop.recipe.seed,
    )
    shared = {layer.layer for layer in clustered.layers}
    folded = replace(state.of_model(clustered.model), shared=state.shared | shared)
    done, report = workshop.fine_tune(folded, stage)
    details = {"layers": [{"layer": layer.layer, "clusters": len(layer.codebook)} for layer in clustered.layers]}
    return StageOutcome(done, details, report)


def _fine_tune(stage: Any, state: State, workshop: Workshop) -> StageOutcome:
    done, report = workshop.fine_tune(state, stage)
    return StageOutcome(done, {}, report)


def _quantize_aware(stage: recipes.QuantizeAware, state: State, workshop: Workshop) -> StageOutcome:
    calibration = workshop.training.first(CALIBRATION_SAMPLES).columns
    quantize = workshop.recipe.quantize
    model = prepare(
        state.model,
        granularity=quantize.granularity,
        calibration=calibration,
        weights=quantize.weights,
        keep_int8=names_left(quantize.keep_int8, state.model, workshop.original),
    )
    how = workshop.recipe.training_of(stage)
    report = None if how is None else workshop.train(model, state, how, stage.stage)
    return StageOutcome(state.of_model(bake(model)), {}, report)


_Function: TypeAlias = Callable[[Any, State, Workshop], StageOutcome]
_STAGES: dict[type, _Function] = {
    recipes.PruneWeights: _prune_weights,
    recipes.PruneFilters: _prune_filters,
    recipes.LowRank: _low_rank,
    recipes.Cluster: _cluster,
    recipes.DistilStage: _fine_tune,
    recipes.FineTuneStage: _fine_tune,
    recipes.QuantizeAware: _quantize_aware,
}
