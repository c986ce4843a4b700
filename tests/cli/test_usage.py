"""Help, version, wrong usage: what `tinyml` says before it does anything."""

import subprocess
import sys
from typing import Any

import pytest
import typer

from tinyml_sdk import __version__
from tinyml_sdk.cli import app, main

HEAVY = {"numpy", "jinja2", "pydantic", "yaml", "unicorn", "elftools", "serial", "rich"}
COMMANDS = "bench boards build compare compress doctor flash generate inspect quantize simulate".split()


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []], ids=str)
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    listed = [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()]
    assert sorted(listed) == COMMANDS
    assert "..." not in out.partition("Commands:\n")[2], "a summary is too long for 80 columns"
    assert err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"tinyml {command}" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_written_to_by_nobody(closed: str) -> None:
    line = f"exec '{sys.executable}' -m tinyml_sdk boards show microbit --yaml {closed}"
    finished = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


BUILDING = ["--optimize", "--no-streams", "--runtime", "--tflm-root", "--app"]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("generate", BUILDING),
        ("build", ["--toolchain", *BUILDING]),
        ("flash", ["--toolchain", *BUILDING]),
        ("bench", ["--toolchain", *BUILDING[:-1]]),  # what it measures with is its own application
        ("simulate", ["--toolchain", *BUILDING]),
    ],
)
def test_commands_that_build_take_the_same_options_in_the_same_order(command: str, options: list[str]) -> None:
    taken = [name for parameter in _parameters(command) for name in parameter.opts]
    assert [name for name in taken if name in options] == options


def test_an_option_is_explained_alike_wherever_it_is_taken() -> None:
    theirs = {"--board", "--output", "--weights", "--validation"}  # required here, optional there; a file, a folder
    texts: dict[str, set[tuple[object, object]]] = {}
    for command in sorted(set(COMMANDS) - {"boards"}):
        for parameter in _parameters(command):
            texts.setdefault(parameter.opts[0], set()).add((getattr(parameter, "help", None), parameter.metavar))
    assert {name for name, said in texts.items() if len(said) > 1} - theirs == {"model"}


def _parameters(command: str) -> list[Any]:
    group: Any = typer.main.get_command(app)
    parameters: list[Any] = group.commands[command].params
    return parameters


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinyml {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY),
        (["--version"], HEAVY),
        (["bench", "--help"], HEAVY - {"pydantic"}),  # which newer versions of typer use themselves
    ],
    ids=["help", "version", "bench"],
)
def test_help_imports_nothing_heavy(arguments: list[str], heavy: set[str]) -> None:
    code = f"import sys; from tinyml_sdk.cli import main; main({arguments}); print(*sys.modules, file=sys.stderr)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not heavy & set(finished.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bench"], "tinyml bench: missing argument 'MODEL'"),
        (["bench", "m.tflite"], "missing option '--board'"),
        (["bench", "m.tflite", "--board", "b", "--runs", "0"], "invalid value for '--runs'"),
        (["bench", "m.tflite", "--board", "b", "--runs", "many"], "invalid value for '--runs'"),
        (["bench", "m.tflite", "--board", "b", "--optimize", "sped"], "did you mean speed?"),
        (["bench", "m.tflite", "--board", "b", "--target", "builtn"], "did you mean builtin?"),
        (["bench", "m.tflite", "--board", "b", "--target", "qemu", "--port", "p"], "exclude each other"),
        (["bench", "m.tflite", "--board", "b", "--no-flash"], "--no-flash and --tool need --port"),
        (["bench", "m.tflite", "--board", "b", "--elf", "f"], "--elf needs --port"),
        (
            ["bench", "m.tflite", "--board", "b", "--elf", "f", "--port", "p", "--toolchain", "zig"],
            "excludes --toolchain",
        ),
        (["simulate", "m.tflite", "--board", "b", "--target", "unicorn"], "not one of builtin, qemu, renode"),
        (["build", "m.tflite", "--board", "b", "-o", "d", "--toolchain", "gcc"], "not one of zig, gnu_arm"),
        (["inspect", "--json"], "tinyml inspect: option '--json' requires an argument"),
        (["bench", "m.tflite", "--quiet=yes"], "tinyml bench: option '--quiet' does not take a value"),
        (["inspect", "m.tflite", "--bord", "b"], "no such option: --bord"),
        (["inspect", "m.tflite", "n.tflite"], "n.tflite"),
        (["generate", "m.tflite"], "missing option '--output'"),
        (["quantize", "m.keras", "-c", "c.npz"], "missing option '--output'"),
        (["quantize", "m.keras", "-c", "c.npz", "-o", "m.tflite", "--method", "msa"], "did you mean mse?"),
        (
            ["quantize", "m.keras", "-c", "c.npz", "-o", "m.tflite", "--per-tensor", "--per-tensor-dense"],
            "exclude each other",
        ),
        (["quantize", "m.keras", "-c", "c.npz", "-o", "-"], "not to stdout"),
        (["benhc"], "no such command 'benhc'"),
        (["boards", "shw"], "no such command 'shw'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_a_line_a_hint_and_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error, hint = err.splitlines()
    assert error.startswith("error: tinyml")
    assert said in error
    assert hint.startswith("hint: ")
