"""The commands on real models: what they print, what they write, what they exit with."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from tinyml_sdk.bench.benchmark import benchmark
from tinyml_sdk.bench.result import Check, result_schema
from tinyml_sdk.boards import load_board
from tinyml_sdk.cli import main
from tinyml_sdk.resources import boards_dir

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits"
DIGITS = str(EXAMPLE / "digits.tflite")


def tinyml(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command, as a process with pipes."""
    return subprocess.run(
        [sys.executable, "-c", "import sys; from tinyml_sdk.cli import main; sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The error line; stdout must be empty and the hint the only other line."""
    out, err = capsys.readouterr()
    assert out == ""
    error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return error


# -- inspect ------------------------------------------------------------------------------------------------------


def test_inspect_prints_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", DIGITS, "--board", "microbit"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("digits.tflite  11,040 bytes")
    assert "On microbit" in out
    assert err == ""


def test_inspect_explains_the_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", DIGITS, "--board", "mps2-an386", "--kernels"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"CONV_2D +conv_2d_dsp +[\d,]+  the cheapest\n +conv_2d +[\d,]+  costs \d\.\d times", out)


def test_inspect_json_to_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", DIGITS, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["name"] == "digits"


def test_inspect_json_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", DIGITS, "--json", str(tmp_path / "facts.json")]) == 0
    assert json.loads((tmp_path / "facts.json").read_text())["fit"] is None
    assert "Memory" in capsys.readouterr().out


def test_inspect_of_what_does_not_fit_prints_all_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (boards_dir() / "microbit.yaml").read_text()
    small = tmp_path / "small.yaml"
    small.write_text(re.sub(r"(ram:.*?size: *)[^\s,}]+", r"\g<1>2048", text, count=1, flags=re.DOTALL))
    assert load_board(small).ram.size == 2048
    assert main(["inspect", DIGITS, "--board", str(small)]) == 1
    out, err = capsys.readouterr()
    assert "does not fit: 1,416 bytes missing" in out
    assert err.startswith("error: microbit: the model does not fit: RAM needs")


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, str]:
    """Paths of things that are no usable model."""
    (tmp_path / "truncated.tflite").write_bytes((EXAMPLE / "digits.tflite").read_bytes()[:5000])
    (tmp_path / "text.tflite").write_text("this is not a model\n" * 50)
    (tmp_path / "empty.tflite").touch()
    names = {path.stem: str(path) for path in tmp_path.iterdir()}
    return {**names, "missing": str(tmp_path / "missing.tflite"), "folder": str(tmp_path)}


@pytest.mark.parametrize("kind", ["missing", "folder", "truncated", "text", "empty"])
@pytest.mark.parametrize("command", ["inspect", "generate", "build", "bench"])
def test_bad_models(
    kind: str, command: str, bad: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["-o", str(tmp_path / "out")] if command in ("generate", "build") else []
    board = ["--board", "mps2-an386"] if command in ("build", "bench") else []
    assert main([command, bad[kind], *board, *output]) == 2
    assert Path(bad[kind]).name in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["inspect", "bench"])
def test_unknown_board_gets_a_suggestion(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, DIGITS, "--board", "mps2-an368"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "mps2-an386" in err


def test_unwritable_json_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["bench", DIGITS, "--board", "mps2-an386", "--json", str(tmp_path / "file" / "r.json")]) == 2
    assert "cannot write the file" in error_of(capsys)


def test_generating_over_somebodys_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["generate", DIGITS, "-o", str(tmp_path)]) == 2
    assert "holds other files" in error_of(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# -- generate, build, bench ---------------------------------------------------------------------------------------


def test_generate_writes_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", DIGITS, "-o", str(tmp_path / "lib")]) == 0
    assert (tmp_path / "lib" / "digits.h").is_file()
    assert "model library" in capsys.readouterr().out


@pytest.mark.slow
def test_build_names_the_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", DIGITS, "--board", "mps2-an386", "-o", str(tmp_path / "p")]) == 0
    assert capsys.readouterr().out.startswith("built ")
    assert (tmp_path / "p" / "build" / "firmware.elf").is_file()


@pytest.mark.slow
def test_bench_reports_and_keeps_what_it_made(tmp_path: Path) -> None:
    inputs = str(EXAMPLE / "digits_test.npz")
    arguments = ["--inputs", inputs, "--json", str(tmp_path / "r.json"), "--project-dir", str(tmp_path / "p")]
    finished = tinyml("bench", DIGITS, "--board", "mps2-an386", *arguments)
    assert finished.returncode == 0, finished.stderr
    assert "bit exact with" in finished.stdout
    assert "360 labelled inputs" in finished.stdout
    assert "Predicted on the device" in finished.stdout
    assert all(len(line) <= 80 for line in finished.stdout.splitlines())
    assert "\x1b" not in finished.stdout
    jsonschema.validate(json.loads((tmp_path / "r.json").read_text()), result_schema())
    assert (tmp_path / "p" / "build" / "firmware.elf").is_file()


@pytest.mark.slow
def test_bench_json_on_stdout_is_alone_there() -> None:
    finished = tinyml("bench", DIGITS, "--board", "mps2-an386", "--json", "-", "-q")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["check"]["bit_exact"] is True
    assert finished.stderr == ""


@pytest.mark.slow
def test_bench_quiet_is_one_line() -> None:
    finished = tinyml("bench", DIGITS, "--board", "mps2-an386", "-q")
    assert re.fullmatch(r"digits on mps2-an386: bit exact with .*, [\d,]+ instructions, .*\n", finished.stdout)
    assert finished.stderr == ""


@pytest.mark.slow
def test_bench_that_is_not_bit_exact_prints_all_and_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Check("tflite-micro", 8, bit_exact=False, differing=13, max_abs_diff=2, first_divergent_layer=3)
    monkeypatch.setattr(
        "tinyml_sdk.bench.benchmark.benchmark",
        lambda *args, **options: replace(benchmark(*args, **options), check=wrong),
    )
    assert main(["bench", DIGITS, "--board", "mps2-an386"]) == 1
    out, err = capsys.readouterr()
    assert "NOT bit exact with tflite-micro: 13 elements differ over 8 inputs" in out
    assert "error: digits.tflite: 13 output elements" in err
    assert "first in layer 3 (MAX_POOL_2D)" in err


# -- boards, doctor -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["boards"], ["boards", "list"]], ids=" ".join)
def test_boards_lists(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert {"mps2-an385", "mps2-an386", "mps2-an500", "netduinoplus2", "microbit"} <= set(names)


def test_a_board_of_ones_own_begins_with_one_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["boards", "show", "semihosting-m4", "--yaml"]) == 0
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(capsys.readouterr().out.replace("semihosting-m4", "mine", 1), encoding="utf-8")
    assert main(["boards", "show", "mine.yaml"]) == 0
    assert capsys.readouterr().out.startswith("mine  ")


def test_boards_show_of_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "show", "microbyte"]) == 2
    assert "microbit" in capsys.readouterr().err


def test_a_reader_that_stops_listening() -> None:
    command = f"{sys.executable} -c 'from tinyml_sdk.cli import main; main()' inspect {DIGITS} | head -1"
    finished = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert finished.stdout.startswith("digits.tflite")
    assert finished.stderr == ""
