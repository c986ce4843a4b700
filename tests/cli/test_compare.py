"""`tinyml compare` as a gate: exit codes, names of what grew, and wrong use."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support.results import made_up_result

from tinyml_sdk.cli import main


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """An old result, and a new one in which the last layer and the total cost 10 % more."""
    old = made_up_result()
    last = dataclasses.replace(old.layers[-1], count=round(old.layers[-1].count * 1.1))
    inference = dataclasses.replace(old.per_inference, median=round(old.per_inference.median * 1.1))
    new = dataclasses.replace(old, layers=(*old.layers[:-1], last), per_inference=inference)
    paths = tmp_path / "old.json", tmp_path / "new.json"
    for path, result in zip(paths, (old, new), strict=True):
        path.write_text(result.to_json())
    return str(paths[0]), str(paths[1])


def test_without_a_limit_it_only_shows(files, capfd):
    assert main(["compare", *files]) == 0
    assert "+10.0 %" in capfd.readouterr().out


@pytest.mark.parametrize(("limit", "code"), [("2%", 1), ("9.9", 1), ("11%", 0)])
def test_a_limit_makes_it_a_gate(files, capfd, limit, code):
    assert main(["compare", *files, "--max-regression", limit]) == code
    error = capfd.readouterr().err
    assert ("layer 7 SOFTMAX" in error) == bool(code)
    assert ("instructions 36,100 -> 39,710" in error) == bool(code)


def test_improvements_pass_any_limit(files):
    old, new = files
    assert main(["compare", new, old, "--max-regression", "0"]) == 0


def test_a_wrong_result_never_passes(files, tmp_path, capfd):
    result = made_up_result()
    wrong = dataclasses.replace(result, check=dataclasses.replace(result.check, bit_exact=False, differing=3))
    (tmp_path / "wrong.json").write_text(wrong.to_json())
    assert main(["compare", files[0], str(tmp_path / "wrong.json"), "--max-regression", "50%"]) == 1
    assert "not bit exact" in capfd.readouterr().err


def test_json_names_the_regressions(files, capfd):
    assert main(["compare", *files, "--max-regression", "2%", "--json", "-"]) == 1
    data = json.loads(capfd.readouterr().out)
    assert data["regressions"] == ["instructions", "layer 7 SOFTMAX"]
    assert data["costs"][0]["growth"] == pytest.approx(0.1)


@pytest.mark.parametrize("limit", ["x", "-1", "", "nan%", "2%%"])
def test_limits_that_are_no_percentages(files, limit):
    assert main(["compare", *files, "--max-regression", limit]) == 2


def test_files_that_are_not_there(files):
    assert main(["compare", files[0], "none.json"]) == 2
