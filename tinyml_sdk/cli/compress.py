"""`tinyml compress`: a Keras model made smaller, stage by stage."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import TinymlError
from .options import JsonOption, MetricOption, one_of
from .output import STDOUT, check_destination, note, show, write_text
from .progress import StageProgress
from .supervision import do_in_child

if TYPE_CHECKING:
    from ..compress import CompressionResult, Recipe

__all__ = ["compress"]

_SHORTCUTS = "Stages without a recipe"


def compress(
    context: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or Keras 2's SavedModel.", show_default=False)
    ],
    data: Annotated[
        Path, typer.Option("--data", "-d", metavar="FILE", help="An .npz file with training inputs and labels.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .keras file to write.")],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", "-r", metavar="FILE", help="A YAML file that lists the stages.")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An .npz file to judge by; else a fifth of the training data is held out."),
    ] = None,
    tflite: Annotated[
        Path | None, typer.Option("--tflite", metavar="FILE", help="Write the int8 model too, for `tinyml bench`.")
    ] = None,
    prune_filters: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Remove this share of filters and units.", rich_help_panel=_SHORTCUTS),
    ] = None,
    low_rank: Annotated[
        float | None,
        typer.Option(metavar="ENERGY", help="Factorize, keeping this share of energy.", rich_help_panel=_SHORTCUTS),
    ] = None,
    prune_weights: Annotated[
        float | None,
        typer.Option(metavar="SPARSITY", help="Set this share of weights to zero.", rich_help_panel=_SHORTCUTS),
    ] = None,
    cluster: Annotated[
        int | None, typer.Option(metavar="N", help="Leave a layer N different weights.", rich_help_panel=_SHORTCUTS)
    ] = None,
    quantize_aware: Annotated[
        bool, typer.Option("--quantize-aware", help="Train with int8 rounding.", rich_help_panel=_SHORTCUTS)
    ] = False,
    weights: Annotated[
        str,
        typer.Option(
            metavar="int8|int4",
            callback=one_of("int8", "int4"),
            help="Weights of the int8 model, and of training for it.",
            rich_help_panel=_SHORTCUTS,
        ),
    ] = "int8",
    distil: Annotated[
        str | None,
        typer.Option(
            metavar="TEACHER",
            help="Learn from a teacher in all training: original, or a Keras file.",
            rich_help_panel=_SHORTCUTS,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of fine-tuning after each stage.", rich_help_panel=_SHORTCUTS),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of all random numbers.  [default: the recipe's, or 0]")
    ] = None,
    metric: MetricOption = "accuracy",
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the model after each stage here; the same command goes on from it."),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Make a Keras model smaller, stage by stage.

    The int8 model is measured after each. Stages come from a recipe (docs/compression.md), or from the options that
    name one, in the order in which they are listed here. Needs TensorFlow, the extra keras.
    """
    from ..compress import compress as run
    from ..compress.checkpoints import Checkpoints
    from ..report.compression import compression_report

    shortcuts = _stages(prune_filters, low_rank, prune_weights, cluster, quantize_aware=quantize_aware, weights=weights)
    steps = _recipe(recipe, shortcuts, distil, epochs)
    changed = {"seed": seed, "metric": None if metric == "accuracy" else metric}
    steps = steps.model_copy(update={key: value for key, value in changed.items() if value is not None})
    if output.suffix != ".keras":
        raise typer.BadParameter(f"{output} must end in .keras; --tflite writes the int8 model", param_hint="--output")
    for path in (output, tflite, json):
        check_destination(path)
    folder = work or output.with_name(f"{output.name}.stages")
    with _telling_what_is_kept(folder):
        if context.obj.line is not None:
            hint = "if memory ran out, lower batch_size or take a machine with more"
            code = do_in_child(context.obj.line, where="tinyml compress", hint=hint)
            sys.exit(code)  # the child has said all there is to say
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with StageProgress() as progress:
            told = _Teller(progress, folder, json)
            result = run(
                model,
                data,
                steps,
                validation=validation,
                output=output,
                work=folder,
                progress=progress,
                finished=told,
            )
    _write(result, tflite, json)
    if json != STDOUT:
        show(compression_report(result))
    note(f"wrote {output}" + (f" and {tflite}" if tflite else ""))
    if work is None:
        Checkpoints(folder, ()).remove()


@contextmanager
def _telling_what_is_kept(folder: Path) -> Iterator[None]:
    """After Ctrl-C, an error or a crash."""
    try:
        yield
    except (KeyboardInterrupt, TinymlError):
        if folder.is_dir():
            note(f"finished stages are kept in {folder}: run the same command to go on")
        raise


class _Teller:
    """Says what each stage came to as soon as it is over, on stderr and in the JSON file."""

    def __init__(self, progress: StageProgress, folder: Path, json: Path | None) -> None:
        self._say = progress.say
        self._folder = folder
        self._json = json
        self._told = 0

    def __call__(self, result: CompressionResult) -> None:
        from ..report.compression import stage_header, stage_row

        if not self._told:
            if len(result.stages) > 1:
                self._say(f"going on from {self._folder}")
            self._say(stage_header(result.quantized.weights))
        for stage in result.stages[self._told :]:
            self._say(stage_row(stage, result.metric))
        self._told = len(result.stages)
        if self._json not in (None, STDOUT):
            write_text(self._json, result.to_json())


def _stages(
    prune_filters: float | None,
    low_rank: float | None,
    prune_weights: float | None,
    cluster: int | None,
    *,
    quantize_aware: bool,
    weights: str,
) -> list[dict[str, Any]]:
    """The options that name a stage, as a recipe lists them."""
    found: list[dict[str, Any]] = []
    if prune_filters is not None:
        found.append({"stage": "prune_filters", "ratio": prune_filters})
    if low_rank is not None:
        found.append({"stage": "low_rank", "energy": low_rank})
    if prune_weights is not None:
        found.append({"stage": "prune_weights", "sparsity": prune_weights})
    if cluster is not None:
        found.append({"stage": "cluster", "clusters": cluster})
    if quantize_aware:
        found.append({"stage": "quantize_aware"})
    if weights != "int8":
        found.append({"stage": "quantize", "weights": weights})
    return found


def _recipe(path: Path | None, shortcuts: list[dict[str, Any]], teacher: str | None, epochs: int | None) -> Recipe:
    from ..compress.recipe import load_recipe, parse_recipe

    distil = None if teacher is None else {"teacher": teacher}
    if distil and not shortcuts:
        shortcuts = [{"stage": "distil", **distil}]
    if (path is None) == (not shortcuts):
        raise typer.BadParameter("give either --recipe or options that name a stage, such as --prune-filters 0.5")
    if path is None:
        training = {"epochs": epochs, "distil": distil}
        given = {key: value for key, value in training.items() if value is not None}
        return parse_recipe({"stages": shortcuts, "training": given}, "options")
    if epochs is not None:
        raise typer.BadParameter("--epochs goes with options that name a stage; a recipe has its own")
    return load_recipe(path)


def _write(result: CompressionResult, tflite: Path | None, json: Path | None) -> None:
    from ..quantize import write_model

    if tflite is not None:
        write_model(tflite, result.quantized.content)
    if json is not None:
        write_text(json, result.to_json())
