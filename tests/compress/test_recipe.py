"""Recipes: what they mean, and that each wrong key is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.compress.recipe import Recipe, load_recipe, parse_recipe
from tinyml_sdk.errors import InputError

GOOD = """\
seed: 7
training: {epochs: 5, learning_rate: 1e-3}
stages:
  - stage: prune_filters
    ratio: 0.5
    fine_tune: {epochs: 7, distil: {temperature: 2.0, features: [{student: a, teacher: b}]}}
  - stage: quantize_aware
  - stage: quantize
    method: mse
"""


def read(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def test_a_stage_trains_as_the_recipe_says_unless_it_says_otherwise(tmp_path: Path) -> None:
    recipe = read(tmp_path, GOOD)
    prune, aware = recipe.steps
    assert recipe.training_of(aware).epochs == 5
    own = recipe.training_of(prune)
    assert (own.epochs, own.learning_rate, own.distil.temperature) == (7, 1e-3, 2.0)
    assert recipe.quantize.method == "mse"
    assert [stage.stage for stage in recipe.stages] == ["prune_filters", "quantize_aware", "quantize"]


def test_no_training_where_it_is_null_or_has_no_epochs(tmp_path: Path) -> None:
    text = "stages: [{stage: cluster, fine_tune: null}, {stage: fine_tune, fine_tune: {epochs: 0}}]"
    recipe = read(tmp_path, text)
    assert [recipe.training_of(stage) for stage in recipe.steps] == [None, None]
    assert recipe.quantize.method == "minmax"


def test_the_distil_stage_is_training_with_a_teacher() -> None:
    recipe = parse_recipe({"training": {"epochs": 3}, "stages": [{"stage": "distil", "alpha": 0.25}]})
    how = recipe.training_of(recipe.steps[0])
    assert (how.epochs, how.distil.alpha, how.distil.teacher) == (3, 0.25, "original")


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "hint"),
    [
        ("ratio: 0.5", "ratio: 1.5", "5: stages.0.ratio", "1.5 would remove everything", "docs/compression.md"),
        ("ratio: 0.5", "ratio: 0", "5: stages.0.ratio", "should be greater than 0, not 0", ""),
        ("method: mse", "keep_int8: [a]", "9: stages.2.keep_int8", "it goes with weights: int4", ""),
        ("method: mse", "min_snr: 9.0", "9: stages.2.min_snr", "it goes with weights: int4", ""),
        (
            "method: mse",
            "weights: int4\n    min_snr: 9.0",
            "10: stages.2.min_snr",
            "quantize_aware must know the layers before",
            "",
        ),
        (
            "method: mse",
            "weights: int4\n    activations: int16",
            "10: stages.2.activations",
            "int4 weights go with int8 activations only",
            "",
        ),
        ("method: mse", "weights: int2", "9: stages.2.weights", "should be 'int8' or 'int4'", ""),
        ("ratio: 0.5", "ratio: .nan", "5", ".nan is not a decimal number", ""),
        ("ratio: 0.5", "ration: 0.5", "5: stages.0.ration", "unknown key", "did you mean ratio?"),
        ("    ratio: 0.5\n", "", "4: stages.0.ratio", "one of ratio, max_macs, max_weight_bytes is needed", ""),
        (
            "ratio: 0.5",
            "ratio: 0.5\n    max_macs: 9",
            "6: stages.0.max_macs",
            "ratio and max_macs exclude each other",
            "",
        ),
        (
            "stage: prune_filters",
            "stage: prune_filter",
            "4: stages.0",
            "there is no stage 'prune_filter'",
            "prune_filters",
        ),
        ("stage: prune_filters", "stag: prune_filters", "4: stages.0", "stage is missing", "add it"),
        ("temperature: 2.0", "temperatur: 2", "6: stages.0.fine_tune.distil.temperatur", "unknown key", "temperature?"),
        (
            "student: a",
            "studen: a",
            "6: stages.0.fine_tune.distil.features.0.studen",
            "unknown key (and 1 more)",
            "student?",
        ),
        ("method: mse", "method: msee", "9: stages.2.method", "'minmax', 'percentile' or 'mse', not 'msee'", ""),
        ("seed: 7", "seed: x", "1: seed", "should be a valid integer, not 'x'", ""),
        ("seed: 7", "sed: 7", "1: sed", "unknown key", "did you mean seed?"),
        ("stages:", "stage:", "3: stage", "unknown key", "did you mean stages?"),
        ("- stage: quantize_aware", "- stage: quantize", "7: stages.1", "nothing can come after quantize", ""),
        ("- stage: quantize\n    method: mse", "- stage: fine_tune", "8: stages.2", "fine_tune would undo", ""),
        ("method: mse", "activations: int16", "9: stages.2.activations", "quantize_aware trains for int8", ""),
        ("training: {epochs: 5", "training: {epochs: -5", "2: training.epochs", "greater than or equal to 0", ""),
    ],
)
def test_faults_name_line_and_key(tmp_path: Path, old: str, new: str, where: str, message: str, hint: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert caught.value.where.startswith(f"{tmp_path / 'recipe.yaml'}:{where}")
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_recipe_without_stages_is_refused(tmp_path: Path) -> None:
    for text in ("stages: []", "seed: 1", "", "- 1"):
        with pytest.raises(InputError):
            read(tmp_path, text)


def test_a_fault_in_the_only_stage_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r":3: stages.0.ratoi: unknown key") as caught:
        read(tmp_path, "stages:\n  - stage: prune_filters\n    ratoi: 0.5\n")
    assert caught.value.hint == "did you mean ratio?"


def test_faults_of_a_dictionary_name_the_key() -> None:
    with pytest.raises(InputError, match=r"options: stages.0.prune_filters.ratio: 1 would remove everything"):
        parse_recipe({"stages": [{"stage": "prune_filters", "ratio": 1}]}, "options")
    with pytest.raises(InputError, match=r"one of ratio, max_macs, max_weight_bytes is needed$"):
        parse_recipe({"stages": [{"stage": "prune_filters"}]})


@pytest.mark.parametrize("stage", ["{stage: prune_weights, pattern: '2:4', sparsity: 0.5}", "{stage: prune_weights}"])
def test_a_pattern_is_a_sparsity(tmp_path: Path, stage: str) -> None:
    with pytest.raises(InputError):
        read(tmp_path, f"stages: [{stage}]")
    assert read(tmp_path, "stages: [{stage: prune_weights, pattern: '2:4'}]").steps[0].pattern == "2:4"


@given(st.integers(0, len(GOOD) - 1), st.text(max_size=3), st.integers(0, 5))
def test_a_damaged_recipe_is_a_recipe_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: str, removed: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    try:
        read(folder, GOOD[:at] + new + GOOD[at + removed :])
    except InputError as error:
        assert error.where.startswith(str(folder))


def test_the_recipes_of_the_examples_are_some() -> None:
    found = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/recipe.yaml"))
    assert [path.parent.name for path in found] == ["digits", "gesture"]
    for path in found:
        assert load_recipe(path).deterministic


def test_the_recipe_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "compression.md").read_text(encoding="utf-8")
    recipe = read(tmp_path, page.partition("```yaml\n")[2].partition("```")[0])
    kinds = {stage.stage for stage in recipe.stages}
    assert len(kinds) == len(recipe.stages) == 8
    assert recipe.training == Recipe(stages=recipe.stages).training
