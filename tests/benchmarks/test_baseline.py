"""No model costs more than the results that are kept in benchmarks/baseline, in total or in a layer."""

from __future__ import annotations

import dataclasses

import pytest
from support.tools import require_tool

from benchmarks import baseline
from tinyml_sdk import InputError, RegressionError, load_result


@pytest.mark.slow
@pytest.mark.parametrize("name", baseline.MODELS)
def test_nothing_has_grown(name):
    require_tool("unicorn")
    require_tool("tflite_micro")
    if not baseline.MODELS[name].is_file():
        pytest.skip("no corpus: set TINYML_CORPUS to a folder of models")
    baseline.check(name)


def test_growth_is_told_by_layer(monkeypatch):
    """The gate itself, without the seconds of a measurement."""
    kept = load_result(baseline.BASELINE / "digits.json")
    slow = dataclasses.replace(kept.layers[2], count=round(kept.layers[2].count * 1.03))
    worse = dataclasses.replace(kept, layers=(*kept.layers[:2], slow, *kept.layers[3:]))
    monkeypatch.setattr(baseline, "measure", lambda _name: worse)
    with pytest.raises(RegressionError, match=rf"digits: grew by more than 2 %: layer 2 {slow.op} .*\(\+3.0%\)"):
        baseline.check("digits")


def test_another_compiler_is_no_regression(monkeypatch):
    kept = load_result(baseline.BASELINE / "digits.json")
    other = dataclasses.replace(kept, toolchain=dataclasses.replace(kept.toolchain, version="0.0.1"))
    monkeypatch.setattr(baseline, "measure", lambda _name: other)
    with pytest.raises(InputError, match="toolchain"):
        baseline.check("digits")
