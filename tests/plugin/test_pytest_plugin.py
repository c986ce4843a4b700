"""The pytest plugin, as a firmware repository uses it: another pytest runs its tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.results import DIGITS, made_up_result
from support.tools import require_tool

pytest_plugins = ["pytester"]


@pytest.fixture
def repository(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the digits model. The plugin is named, as the SDK may be installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("CI", raising=False)  # with it, pytest's summary says each error a second time
    pytester.plugins = ["tinyml_sdk.pytest_plugin"]
    shutil.copy(DIGITS, pytester.path / "digits.tflite")
    return pytester


def run(repository: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    repository.makepyfile(test_model=test)
    return repository.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def text_of(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


# -- settings: nothing is built -----------------------------------------------------------------------------------


BOARD_IS = "def test_board(tinyml_board): assert tinyml_board == {!r}"


def test_the_board_has_a_default(repository):
    run(repository, BOARD_IS.format("mps2-an386")).assert_outcomes(passed=1)


def test_the_ini_file_names_the_board_and_the_command_line_wins(repository):
    repository.makeini("[pytest]\ntinyml_board = microbit\n")
    run(repository, BOARD_IS.format("microbit")).assert_outcomes(passed=1)
    run(repository, BOARD_IS.format("mps2-an500"), "--tinyml-board", "mps2-an500").assert_outcomes(passed=1)


def test_help_shows_the_options(repository):
    shown = text_of(run(repository, "", "--help"))
    for option in ("board", "target", "toolchain", "port", "update-baselines"):
        assert f"--tinyml-{option}" in shown


def test_a_run_that_does_not_use_it_imports_nothing_of_the_sdk():
    code = "import sys, tinyml_sdk.pytest_plugin; print(*(n for n in sys.modules if n.startswith(('tinyml', 'numpy'))))"
    out = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=Path(__file__).parents[2])
    assert out.split() == ["tinyml_sdk", "tinyml_sdk.pytest_plugin"]


# -- what goes wrong before anything is built ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("'none.tflite'", (), "none.tflite"),
        ("'digits.tflite'", ("--tinyml-board", "mps2"), "no board 'mps2'"),
        ("'digits.tflite'", ("--tinyml-target", "x"), "no target 'x'"),
        ("'digits.tflite', max_regression='x'", (), "'x' is not a percentage"),
    ],
)
def test_wrong_use_is_a_message_and_no_traceback(repository, call, arguments, message):
    result = run(repository, f"def test_model(tinyml_bench): tinyml_bench({call})", *arguments)
    result.assert_outcomes(failed=1)
    shown = text_of(result)
    assert message in shown
    assert "hint: " in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_a_model_that_does_not_fit_says_by_how_much(repository):
    """A board file of the repository's own, named relative to its root."""
    board = (Path(__file__).parents[2] / "boards" / "mps2-an386.yaml").read_text(encoding="utf-8")
    small = [
        f"{line.split('size')[0]}size: 0x800}}" if line.startswith("ram:") else line for line in board.splitlines()
    ]
    (repository.path / "small.yaml").write_text("\n".join(small).replace("mps2-an386", "small"), encoding="utf-8")
    result = run(
        repository, "def test_model(tinyml_bench): tinyml_bench('digits.tflite')", "--tinyml-board", "small.yaml"
    )
    result.assert_outcomes(failed=1)
    assert "does not fit: RAM needs" in text_of(result)


# -- the real thing -----------------------------------------------------------------------------------------------

TEN_LINES = """
import pytest

@pytest.fixture(scope="session")
def result(tinyml_bench):
    return tinyml_bench("digits.tflite", baseline="digits.json", {limits})

def test_it_is_bit_exact_and_fits(result):
    assert result.check.bit_exact
    assert result.ram.total < 64_000
"""


@pytest.mark.slow
def test_ten_lines_and_a_baseline(repository):
    require_tool("ziglang")
    require_tool("unicorn")
    test = TEN_LINES.format(limits="max_flash=100_000, max_ram=64_000, max_instructions=200_000, max_regression='0'")
    result = run(repository, test)
    result.assert_outcomes(errors=1)
    assert "pytest --tinyml-update-baselines" in text_of(result)

    run(repository, test, "--tinyml-update-baselines").assert_outcomes(passed=1)
    result = run(repository, test)
    result.assert_outcomes(passed=1)
    assert "digits on mps2-an386: bit exact" in text_of(result)

    baseline = repository.path / "digits.json"
    data = json.loads(baseline.read_text())
    data["per_inference"]["median"] //= 2
    baseline.write_text(json.dumps(data))
    result = run(repository, test)
    result.assert_outcomes(errors=1)
    assert "grew by more than 0 %: instructions" in text_of(result)


@pytest.mark.slow
def test_all_that_is_wrong_is_said_at_once(repository):
    require_tool("ziglang")
    require_tool("unicorn")
    (repository.path / "digits.json").write_text(replace(made_up_result(), board="microbit").to_json())
    limits = "max_flash=1_000, max_ram=100"
    result = run(repository, TEN_LINES.format(limits=limits))
    result.assert_outcomes(errors=1)
    shown = text_of(result)
    assert "over the limit of 1,000 by" in shown
    assert "over the limit of 100 by" in shown
    assert "the baseline is of microbit, not of mps2-an386" in shown
    assert shown.count("hint: ") == 2
    # What is over a limit is no baseline to keep.
    run(repository, TEN_LINES.format(limits=limits), "--tinyml-update-baselines").assert_outcomes(errors=1)
    assert json.loads((repository.path / "digits.json").read_text())["board"] == "microbit"
