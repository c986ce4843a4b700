"""`tinyml quantize`: a Keras model as an int8 .tflite file, with int4 weights if asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from .options import JsonOption, MetricOption, one_of
from .output import STDOUT, check_destination, note, show, write_text
from .progress import StageProgress

if TYPE_CHECKING:
    from ..quantize import Activations, Granularity, Method, Weights

__all__ = ["quantize"]


def quantize(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A .keras or .h5 file, or the folder of a SavedModel.", show_default=False
        ),
    ],
    calibration: Annotated[
        Path,
        typer.Option(
            "--calibration", "-c", metavar="FILE", help="An .npz file with typical inputs, 100 or more, float32."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .tflite file to write.")],
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One weight scale for each layer, not for each channel.")
    ] = False,
    per_tensor_dense: Annotated[
        bool, typer.Option("--per-tensor-dense", help="One weight scale for each dense layer, the others per channel.")
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            metavar="minmax|percentile|mse",
            callback=one_of("minmax", "percentile", "mse"),
            help="How activation ranges are chosen.",
        ),
    ] = "minmax",
    percentile: Annotated[
        float, typer.Option(metavar="P", help="With --method percentile: keep all below it, above 50 to 100.")
    ] = 99.99,
    activations: Annotated[
        str,
        typer.Option(
            metavar="int8|int16",
            callback=one_of("int8", "int16"),
            help="int16: finer, for TensorFlow Lite Micro only; tinyml's own kernels are int8.",
        ),
    ] = "int8",
    weights: Annotated[
        str,
        typer.Option(
            metavar="int8|int4",
            callback=one_of("int8", "int4"),
            help="int4: half the flash with --optimize size, for some accuracy.",
        ),
    ] = "int8",
    keep_int8: Annotated[
        list[str] | None,
        typer.Option(
            "--keep-int8",
            metavar="LAYER",
            help="With --weights int4: not this layer; first and last for the ends. May be repeated.",
        ),
    ] = None,
    min_snr: Annotated[
        float | None,
        typer.Option(
            "--min-snr", metavar="DB", help="With --weights int4: not layers that it would make noisier than this."
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation", metavar="FILE", help="An .npz file with inputs and labels: compare the models' accuracy."
        ),
    ] = None,
    metric: MetricOption = "accuracy",
    json: JsonOption = None,
) -> None:
    """Convert a Keras model to int8, with int4 weights if asked.

    Every tensor of the result is checked to be as asked for. Needs TensorFlow, the extra keras.
    """
    from ..quantize import quantize_model
    from ..report.quantization import quantization_report

    if per_tensor and per_tensor_dense:
        raise typer.BadParameter("--per-tensor and --per-tensor-dense exclude each other")
    granularity = "per-tensor" if per_tensor else "per-tensor-dense" if per_tensor_dense else "per-channel"
    if output == STDOUT:
        raise typer.BadParameter("the model is written to a file, not to stdout")
    check_destination(output)
    check_destination(json)
    with StageProgress() as progress:
        result = quantize_model(
            model,
            calibration,
            output=output,
            granularity=cast("Granularity", granularity),
            method=cast("Method", method),
            percentile=percentile,
            activations=cast("Activations", activations),
            weights=cast("Weights", weights),
            keep_int8=keep_int8 or (),
            min_snr=min_snr,
            validation=validation,
            metric=metric,
            progress=progress,
        )
    if json is not None:
        write_text(json, result.to_json())
    if json != STDOUT:
        show(quantization_report(result))
    note(f"wrote {output}")
