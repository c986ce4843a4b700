"""Which of the tools that tests use are here. $TINYML_REQUIRE_TOOLS turns a skip into a failure."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tinyml_sdk.boards import Board


def require_tool(name: str) -> None:
    """Skip the test where a program (`qemu-system-arm`) or a Python package (`unicorn`) is not installed."""
    if shutil.which(name) is None and importlib.util.find_spec(name.replace("-", "_")) is None:
        if os.environ.get("TINYML_REQUIRE_TOOLS"):
            pytest.fail(f"{name} is not installed, and TINYML_REQUIRE_TOOLS is set")
        pytest.skip(f"{name} is not installed")


def require_tflm() -> Path:
    """A TFLM tree with its library, $TFLM_ROOT; skips where there is none, in CI too: it is no tool that one installs.

    docs/tflm.md says how to make one.
    """
    root = os.environ.get("TFLM_ROOT")
    if not root:
        pytest.skip("$TFLM_ROOT is not set: a TFLM tree whose Makefile has made its library (docs/tflm.md)")
    return Path(root)


TOOLCHAIN_TOOLS = {"zig": "ziglang", "gnu_arm": "arm-none-eabi-gcc", "platformio": "platformio", "host": "cc"}
TARGET_TOOLS = {"builtin": "unicorn", "qemu": "qemu-system-arm"}


def emulator_tool(target: str, board: Board) -> str:
    """What runs a board on a target."""
    if target == "qemu" and board.emulators.qemu is not None:
        return f"qemu-system-{board.emulators.qemu.system}"
    return TARGET_TOOLS[target]
