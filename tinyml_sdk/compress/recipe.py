"""What to do to a model, in which order: stages and their parameters, from a YAML file or built in Python.

Pydantic checks every key; `load_recipe` adds the file's line to what it says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ..errors import InputError
from ..quantize.job import Granularity, Method, Weights
from ..yaml_files.checked import FileKind, read_checked

__all__ = [
    "Cluster",
    "Distil",
    "DistilStage",
    "FeaturePair",
    "FineTune",
    "FineTuneStage",
    "LowRank",
    "PruneFilters",
    "PruneWeights",
    "Quantize",
    "QuantizeAware",
    "Recipe",
    "Stage",
    "Training",
    "load_recipe",
    "parse_recipe",
]

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
LayerName: TypeAlias = str

_KIND = FileKind("recipe", InputError, "docs/compression.md shows a recipe with every stage")


def _conflict(key: str | tuple[str | int, ...], message: str) -> PydanticCustomError:
    """A fault between keys, to be shown at `key`."""
    # The message is a format string to pydantic, so it comes as a value.
    return PydanticCustomError("conflict", "{message}", {"message": message, "key": key})


def _not_everything(share: float) -> float:
    if share >= 1:
        raise _conflict((), f"{share:g} would remove everything: give the share to remove, 0.5 for half")
    return share


Removed = Annotated[float, Field(gt=0), AfterValidator(_not_everything)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def _exactly_one(self, *keys: str) -> None:
        given = [key for key in keys if getattr(self, key) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} exclude each other" if given else f"one of {', '.join(keys)} is needed"
            raise _conflict(given[-1] if given else keys[0], said)


# -- training -----------------------------------------------------------------------------------------------------


class FeaturePair(_Strict):
    """A layer of the student that learns from one of the teacher. `weight` is its share in the loss."""

    student: LayerName
    teacher: LayerName
    weight: Annotated[float, Field(gt=0)] = 1.0


class Distil(_Strict):
    """Learn from a teacher besides the labels: `distil.Distillation` has the formulas.

    Attributes:
        teacher: `original`, the model before its first stage, or the path of a Keras model.
        temperature: Softens the teacher's and the student's outputs.
        alpha: Weight of the labels; the teacher's has 1 - alpha.
        features: Pairs of layers whose outputs shall be equal.
        attention: Pairs of layers whose maps of attention shall be equal.
    """

    teacher: str = "original"
    temperature: Annotated[float, Field(gt=0)] = 4.0
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    features: tuple[FeaturePair, ...] = ()
    attention: tuple[FeaturePair, ...] = ()


class Training(_Strict):
    """How weights are trained: Adam on mini-batches.

    Attributes:
        epochs: Passes over the training data; 0 trains nothing.
        batch_size: Samples a step. tf.data comes in its own batches.
        learning_rate: At the start.
        schedule: `cosine` falls to zero over all epochs, `constant` stays.
        early_stopping: End after so many epochs without a lower validation loss, with the best weights; null: never.
        distil: Learn from a teacher too.
    """

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 10
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    early_stopping: Count | None = None
    distil: Distil | None = None


FineTune: TypeAlias = Training


# -- stages -------------------------------------------------------------------------------------------------------


class _Trained(_Strict):
    """A stage after which, or in which, weights are trained.

    Attributes:
        fine_tune: What differs from the recipe's `training`; null: no training after this stage.
    """

    fine_tune: Training | None = Training()


class PruneWeights(_Trained):
    """Set weights to zero: `weights/pruning.py`.

    Attributes:
        sparsity: Share of the weights that will be zero.
        threshold: Zero all weights whose magnitude is below it.
        pattern: `2:4` or another N:M: N of M neighbouring weights stay; `1x4`: blocks of four go or stay together.
        scope: `sparsity` of all weights together, or of each layer.
        overrides: Another sparsity for some layers; 0 leaves a layer alone.
        schedule: `cubic` prunes step by step in the first `end` of the epochs, `once` at the start.
        end: Share of the training after which the sparsity is reached.
    """

    stage: Literal["prune_weights"]
    sparsity: Removed | None = None
    threshold: Annotated[float, Field(gt=0)] | None = None
    pattern: Annotated[str, Field(pattern=r"^[1-9][0-9]?[:x][1-9][0-9]?$")] | None = None
    scope: Literal["global", "layer"] = "global"
    overrides: dict[LayerName, Annotated[float, Field(ge=0, lt=1)]] = {}
    schedule: Literal["cubic", "once"] = "cubic"
    end: Annotated[float, Field(gt=0, le=1)] = 0.6

    @model_validator(mode="after")
    def _one_aim(self) -> PruneWeights:
        if self.pattern is not None and ":" in self.pattern:
            if self.sparsity is not None or self.threshold is not None:
                raise _conflict("pattern", f"{self.pattern} is a sparsity already: give no other")
            return self
        self._exactly_one("sparsity", "threshold")
        return self


class PruneFilters(_Trained):
    """Take whole filters and units out, so that the model shrinks: `filters/pruning.py`.

    Attributes:
        ratio: Share of the channels to remove in each group of layers.
        max_macs: Remove until an inference takes no more multiply-accumulates.
        max_weight_bytes: Remove until int8 weights and int32 biases take no more bytes (`macs.weight_bytes`).
        importance: Score by which channels stay.
        overrides: Another ratio for some layers; 0 leaves a layer alone.
        multiple: Channels that stay are a multiple of it.
        samples: Training samples for the scores that need data.
    """

    stage: Literal["prune_filters"]
    ratio: Removed | None = None
    max_macs: Count | None = None
    max_weight_bytes: Count | None = None
    importance: Literal["l1", "l2", "geometric_median", "activation", "gradient", "hessian"] = "l2"
    overrides: dict[LayerName, Annotated[float, Field(ge=0, lt=1)]] = {}
    multiple: Count = 4
    samples: Count = 256

    @model_validator(mode="after")
    def _one_aim(self) -> PruneFilters:
        self._exactly_one("ratio", "max_macs", "max_weight_bytes")
        return self


class LowRank(_Trained):
    """Replace layers by products of smaller ones: `low_rank/factorizing.py`.

    Attributes:
        energy: Share of a kernel's squared norm to keep at the least.
        ratio: Share of a layer's weights to keep at the most.
        ranks: Rank of some layers, instead of what the other two say; a pair for `tucker2`. Alone: only these layers.
        method: `svd`, `tucker2`, `spatial`, `cp`, or what suits the layer.
        layers: Only these.
    """

    stage: Literal["low_rank"]
    energy: Share | None = None
    ratio: Share | None = None
    ranks: dict[LayerName, Count | tuple[Count, Count]] | None = None
    method: Literal["auto", "svd", "tucker2", "spatial", "cp"] = "auto"
    layers: tuple[LayerName, ...] | None = None

    @model_validator(mode="after")
    def _one_aim(self) -> LowRank:
        if self.ranks is None or None not in (self.energy, self.ratio):
            self._exactly_one("energy", "ratio")
        return self


class Cluster(_Trained):
    """Let a layer's weights share a few values: `weights/clustering.py`.

    Attributes:
        clusters: Different values in each layer.
        init: Where k-means starts.
        layers: Only these.
    """

    stage: Literal["cluster"]
    clusters: Annotated[int, Field(ge=2, le=256)] = 16
    init: Literal["linear", "density", "kmeans++"] = "linear"
    layers: tuple[LayerName, ...] | None = None


class DistilStage(Distil):
    """Train with a teacher; in `fine_tune` of another stage the key `distil` does the same."""

    stage: Literal["distil"]
    fine_tune: Training = Training()


class FineTuneStage(_Strict):
    """Train as it is, with what earlier stages did held in place."""

    stage: Literal["fine_tune"]
    fine_tune: Training = Training()


class QuantizeAware(_Strict):
    """Train with int8 rounding in the loop, so that the weights learn to live with it: `qat`."""

    stage: Literal["quantize_aware"]
    fine_tune: Training = Training()


class Quantize(_Strict):
    """How the int8 model is made, after this and every stage before; the last stage, if it is given.

    Attributes:
        granularity: A weight scale for each channel, tensor, or channel but for dense layers.
        method: How activation ranges are chosen.
        percentile: For that method.
        samples: Training samples that calibrate the ranges.
        activations: `int16` for int16 activations with int8 weights.
        weights: `int4` for weights of four bits where layers can have them.
        keep_int8: Layers that keep int8 weights all the same, by name; `first` and `last` stand for the ends.
        min_snr: So do layers that int4 weights alone would make noisier than so many decibels.
    """

    stage: Literal["quantize"] = "quantize"
    granularity: Granularity = "per-channel"
    method: Method = "minmax"
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    samples: Annotated[int, Field(ge=10)] = 200
    activations: Literal["int8", "int16"] = "int8"
    weights: Weights = "int8"
    keep_int8: tuple[LayerName, ...] = ()
    min_snr: float | None = None

    @model_validator(mode="after")
    def _int4(self) -> Quantize:
        if self.weights == "int4" and self.activations != "int8":
            raise _conflict("activations", "int4 weights go with int8 activations only")
        for key in ("keep_int8", "min_snr"):
            if self.weights == "int8" and getattr(self, key) not in ((), None):
                raise _conflict(key, "it goes with weights: int4")
        return self


Stage: TypeAlias = Annotated[
    PruneWeights | PruneFilters | LowRank | Cluster | DistilStage | FineTuneStage | QuantizeAware | Quantize,
    Field(discriminator="stage"),
]


class Recipe(_Strict):
    """Stages in their order, and what holds for all of them.

    Attributes:
        stages: At least one. `quantize_aware` may be followed by `quantize` only, which is the last.
        training: Defaults of every stage's `fine_tune`.
        seed: Of everything that is drawn by chance.
        deterministic: Have TensorFlow take slower kernels that give the same bits each time.
        loss: A loss that Keras knows by name; `auto`: what fits the labels and the model's last activation.
        metric: What is reported of the float and of the int8 model.
    """

    stages: tuple[Stage, ...]
    training: Training = Training()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    loss: str = "auto"
    metric: str = "accuracy"

    @model_validator(mode="after")
    def _order(self) -> Recipe:
        if not self.stages:
            raise _conflict("stages", "there are none")
        kinds = [stage.stage for stage in self.stages]
        for place, kind in enumerate(kinds[:-1]):
            if kind == "quantize":
                raise _conflict(("stages", place), "nothing can come after quantize: move it to the end")
            if kind == "quantize_aware" and kinds[place + 1] != "quantize":
                said = f"{kinds[place + 1]} would undo quantize_aware: move it before that"
                raise _conflict(("stages", place + 1), said)
        if "quantize_aware" in kinds and self.quantize.activations != "int8":
            last = len(self.stages) - 1
            raise _conflict(("stages", last, "activations"), "quantize_aware trains for int8: int16 would undo it")
        if "quantize_aware" in kinds and self.quantize.min_snr is not None:
            said = "quantize_aware must know the layers before: name those in keep_int8 that `tinyml quantize` finds"
            raise _conflict(("stages", len(self.stages) - 1, "min_snr"), said)
        return self

    @property
    def quantize(self) -> Quantize:
        """How the int8 model is made."""
        last = self.stages[-1]
        return last if isinstance(last, Quantize) else Quantize()

    @property
    def steps(self) -> tuple[Any, ...]:
        """The stages that change the Keras model."""
        return tuple(stage for stage in self.stages if not isinstance(stage, Quantize))

    def training_of(self, stage: Any) -> Training | None:
        """The training of a stage: its `fine_tune` over the recipe's `training`; None where there is none."""
        own: Training | None = stage.fine_tune
        if own is None:
            return None
        merged = self.training.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})
        if isinstance(stage, DistilStage):
            teaching = stage.model_dump(exclude={"stage", "fine_tune"})
            merged = merged.model_copy(update={"distil": Distil.model_validate(teaching)})
        return merged if merged.epochs else None


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: names file, line and key.
    """
    return read_checked(Recipe, Path(path), _KIND)


def parse_recipe(value: Any, name: str = "recipe") -> Recipe:
    """A recipe from dictionaries and lists.

    Raises:
        InputError: names the key.
    """
    try:
        return Recipe.model_validate(value, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        message = first["msg"].replace("Input should", "should")
        if first["type"] != "conflict":
            message += f", not {first['input']!r}"
        raise InputError(message, where=f"{name}: {key}", hint=_KIND.example) from error
