"""How each kind of failure looks and what it exits with."""

from collections.abc import Callable

import pytest
import typer

from tinyml_sdk.cli.errors import describe, run_guarded
from tinyml_sdk.errors import (
    BuildError,
    DeviceTimeoutError,
    FitError,
    InputError,
    MissingToolError,
    ModelError,
    TinymlError,
)


def failing(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


def run(error: BaseException, *, debug: bool = False) -> int:
    return run_guarded(failing(error), debug=lambda: debug)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("is damaged", where="m.tflite: op 3", hint="convert again"), 2),
        (FitError("does not fit", where="microbit", hint="shrink it"), 1),
        (MissingToolError("is not installed", where="zig", hint="pip install it"), 3),
    ],
    ids=["input", "check", "tool"],
)
def test_two_lines_and_the_exit_code(error: TinymlError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(error) == code
    assert capsys.readouterr().err == f"error: {error.where}: {error.message}\nhint: {error.hint}\n"


def test_a_message_stays_on_its_line_and_cannot_steer_the_terminal() -> None:
    lines = describe(InputError("bad\nname \x1b[2J", where="a\tb", hint="rename")).splitlines()
    assert lines == ["error: a b: bad name ?[2J", "hint: rename"]


def test_build_error_shows_the_command_and_the_last_lines() -> None:
    output = "\n".join(f"line {number}" for number in range(100))
    lines = describe(BuildError("failed", hint="look", command="zig cc -c kws.c", output=output)).splitlines()
    assert lines[:2] == ["error: failed", "  $ zig cc -c kws.c"]
    assert lines[2:-1] == [f"  line {number}" for number in range(80, 100)]
    assert lines[-1] == "hint: look"


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        (b"", "nothing"),
        (b"Hello\r\n", r"7 bytes: 'Hello\r\n'"),
        (b"\x00\xff", "2 bytes: 00 ff"),
        (b"x" * 1000, f"1,000 bytes: … '{'x' * 240}'"),
    ],
    ids=["silence", "text", "binary", "long"],
)
def test_timeout_shows_what_was_received(received: bytes, shown: str) -> None:
    assert f"  received: {shown}\n" in describe(DeviceTimeoutError("no answer", hint="reset", received=received))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()], ids=["ctrl-c", "abort"])
def test_interrupt_is_one_line_and_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(error) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyError("x")) == 3
    err = capsys.readouterr().err
    assert err.startswith("error: internal error: KeyError: 'x' (")
    assert "--debug" in err
    assert len(err.splitlines()) == 2


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(KeyError("x"), debug=True) == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_operating_system_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(OSError(28, "No space left on device", "/somewhere/file")) == 3
    assert capsys.readouterr().err.startswith("error: /somewhere/file: No space left on device\nhint: ")
