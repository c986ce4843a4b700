"""`tinyml simulate` as a user runs it, and other programs on its port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from support.simulated import DIGITS, firmware
from support.tools import TARGET_TOOLS, require_tool

from tinyml_sdk.cli import main

BOARD = "mps2-an386"
PROGRAM = [sys.executable, "-c", "import sys; from tinyml_sdk.cli import main; sys.exit(main(sys.argv[1:]))"]


@contextmanager
def simulating(*arguments):
    """The command in a process of its own; yields it and the port it printed."""
    require_tool(TARGET_TOOLS["builtin"])
    command = [*PROGRAM, "simulate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
def test_a_model_is_built_and_benched_through_a_link(tmp_path, capsys):
    link = tmp_path / "board"
    with simulating(str(DIGITS), "--board", BOARD, "--link", str(link)) as (process, port):
        assert port == str(link)
        for _ in range(2):
            result = tmp_path / "result.json"
            arguments = ["bench", str(DIGITS), "--board", BOARD, "--port", port, "--no-flash", "--json", str(result)]
            assert main(arguments) == 0
            assert json.loads(result.read_text())["check"]["bit_exact"]
        capsys.readouterr()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
        assert "Ctrl-C ends it" in process.stderr.read()
    assert not link.is_symlink()


@pytest.mark.slow
def test_a_firmware_that_is_built_already():
    with simulating(str(firmware(BOARD)), "--board", BOARD) as (process, port):
        assert port.startswith("/dev/pts/")
        assert main(["doctor", "--port", port]) == 0
        assert process.poll() is None
        process.terminate()


@pytest.mark.slow
def test_another_program_than_ours_on_the_port():
    """Anything that opens a serial port will do: here, plain bytes and `os`."""
    with simulating(str(firmware(BOARD)), "--board", BOARD) as (_, port):
        board = os.open(port, os.O_RDWR | os.O_NOCTTY)
        os.write(board, bytes.fromhex("00 01 02 01 04 2a 39 5a 5e 00"))  # no request: nothing may come back
        os.close(board)
        assert main(["doctor", "--port", port, "--board", BOARD, "--model", str(DIGITS)]) == 0


def test_what_is_in_the_way_of_the_link(tmp_path, capsys):
    require_tool(TARGET_TOOLS["builtin"])
    (tmp_path / "file").touch()
    assert main(["simulate", str(firmware(BOARD)), "--board", BOARD, "--link", str(tmp_path / "file")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["simulate", str(firmware(BOARD)), "--board", BOARD, "--link", str(tmp_path / "no" / "link")]) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert main(["simulate", "nothing.elf", "--board", BOARD]) == 3


def test_a_board_without_an_emulator_is_known_before_building(capsys):
    require_tool(TARGET_TOOLS["builtin"])
    assert main(["simulate", str(DIGITS), "--board", "nano33ble"]) == 2
    assert "does not model this board" in capsys.readouterr().err
    assert main(["simulate", str(DIGITS), "--board", "microbit", "--target", "renode"]) == 2
    assert "Renode does not know this board" in capsys.readouterr().err
