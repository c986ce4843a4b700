"""Ctrl-C ends a command with one line, whatever it is doing."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyml_sdk.cli.errors import run_guarded
from tinyml_sdk.cli.interrupt import raise_if_interrupted
from tinyml_sdk.errors import TargetError

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite"


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def in_a_callback() -> None:
    """As an emulator calls Python: what is raised there is lost."""
    ctypes.CFUNCTYPE(None)(press_ctrl_c)()
    raise_if_interrupted()


def in_a_callback_with_consequences() -> None:
    ctypes.CFUNCTYPE(None)(press_ctrl_c)()
    raise TargetError("the firmware does not answer", hint="reset it")


@pytest.mark.parametrize("command", [press_ctrl_c, terminate, in_a_callback, in_a_callback_with_consequences])
def test_ctrl_c_is_one_line_and_130(command: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(command, debug=lambda: False) == 130
    assert capfd.readouterr() == ("", "interrupted\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    raise_if_interrupted()


def test_a_job_in_the_background_can_be_terminated() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert run_guarded(terminate, debug=lambda: False) == 130
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


GUARDED = """
import signal, sys, threading, time
from tinyml_sdk.cli import main

def report():
    while signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        time.sleep(0.01)
    print("ready", flush=True)

threading.Thread(target=report, daemon=True).start()
sys.exit(main())
"""
"""Says when Ctrl-C has become the command's: until then the interpreter starts, for as long as a busy machine likes."""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 1.5, 3.0])
def test_a_bench_can_be_interrupted_at_any_time(delay: float) -> None:
    arguments = ["bench", str(DIGITS), "--board", "mps2-an386", "--runs", "100000"]
    with subprocess.Popen(
        [sys.executable, "-c", GUARDED, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
