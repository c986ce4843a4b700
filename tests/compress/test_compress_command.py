"""`tinyml compress` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tools import require_tool

from tinyml_sdk.cli import main
from tinyml_sdk.errors import InputError, ToolError

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
DATA = ["--data", str(DIGITS / "digits_train.npz")]
MODEL = str(DIGITS / "digits.keras")


def test_wrong_commands_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All told before TensorFlow is imported."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("stages:\n  - stage: prune_filters\n    ratoi: 0.5\n")
    out = ["-o", str(tmp_path / "small.keras")]
    for arguments, said in (
        ([MODEL, *DATA, *out], "give either --recipe or options that name a stage"),
        ([MODEL, *DATA, *out, "--recipe", str(recipe), "--cluster", "8"], "give either --recipe or options"),
        ([MODEL, *DATA, *out, "--recipe", str(recipe)], "recipe.yaml:3: stages.0.ratoi: unknown key"),
        ([MODEL, *DATA, *out, "--prune-filters", "1"], "1 would remove everything"),
        ([MODEL, *DATA, "-o", str(tmp_path / "small.tflite"), "--cluster", "8"], "must end in .keras"),
        ([MODEL, "--data", "nowhere.npz", *out, "--cluster", "8"], "there is no such file"),
        (["nowhere.keras", *DATA, *out, "--cluster", "8"], "there is no such file"),
        ([MODEL, *DATA, *out, "--cluster", "8", "--metric", "acuracy"], "did you mean accuracy?"),
    ):
        assert main(["compress", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_options_are_a_recipe() -> None:
    from tinyml_sdk.cli.compress import _recipe

    teaching = _recipe(None, [{"stage": "cluster", "clusters": 8}, {"stage": "quantize_aware"}], "big.keras", 3)
    hows = [teaching.training_of(step) for step in teaching.steps]
    assert [(how.epochs, how.distil.teacher) for how in hows if how and how.distil] == [(3, "big.keras")] * 2
    alone = _recipe(None, [], "original", None)
    assert [step.stage for step in alone.steps] == ["distil"]
    assert _recipe(None, [{"stage": "quantize_aware"}], None, None).training.distil is None


@pytest.mark.slow
def test_stages_from_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_tool("tensorflow")
    require_tool("tflite_micro")
    small, tflite, report = (tmp_path / name for name in ("small.keras", "small.tflite", "small.json"))
    arguments = ["compress", MODEL, *DATA, "--prune-filters", "0.5", "--cluster", "16", "--epochs", "1"]
    assert main([*arguments, "-o", str(small), "--tflite", str(tflite), "--json", str(report)]) == 0
    out, err = capsys.readouterr()
    rows = [
        line.split() for line in err.splitlines() if line.startswith(("original  ", "prune_filters  ", "cluster  "))
    ]
    assert [row[0] for row in rows] == ["original", "prune_filters", "cluster"], "each as soon as it is over"
    assert "held out of the training data" in out
    assert "prune_filters: digit: it makes an output of the model" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    facts = json.loads(report.read_text())
    assert rows[1][2] == f"{facts['stages'][1]['cost']['macs']:,}"
    assert [stage["name"] for stage in facts["stages"]] == ["original", "prune_filters", "cluster"]
    assert facts["samples"] == {"training": 1150, "validation": 287, "held_out": True}
    assert tflite.stat().st_size == facts["quantized"]["file_bytes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.json", "small.keras", "small.tflite"]


@pytest.mark.slow
def test_errors_in_a_stage_name_it_and_memory_that_runs_out_is_one() -> None:
    require_tool("tensorflow")
    import tensorflow as tf

    from tinyml_sdk.compress.pipeline import _located

    for error in (MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")):
        with pytest.raises(ToolError, match="stage 2, cluster: out of memory") as caught, _located(2, "cluster"):
            raise error
        assert "batch_size" in caught.value.hint
    for where in ("layer 'a'", "low rank: layer 'a'"):
        with pytest.raises(InputError, match=r"^stage 1, low_rank: layer 'a': no$"), _located(1, "low_rank"):
            raise InputError("no", where=where, hint="")
