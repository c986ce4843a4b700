"""Which of the tools that tests use are here. $TINYML_REQUIRE_TOOLS turns a skip into a failure."""

import importlib.util
import os
import shutil

import pytest

from tinyml_sdk.boards import Board


def require_tool(name: str) -> None:
    """Skip the test where a program (`qemu-system-arm`) or a Python package (`unicorn`) is not installed."""
    if shutil.which(name) is None and importlib.util.find_spec(name.replace("-", "_")) is None:
        if os.environ.get("TINYML_REQUIRE_TOOLS"):
            pytest.fail(f"{name} is not installed, and TINYML_REQUIRE_TOOLS is set")
        pytest.skip(f"{name} is not installed")


TOOLCHAIN_TOOLS = {"zig": "ziglang", "gnu_arm": "arm-none-eabi-gcc", "platformio": "platformio", "host": "cc"}
TARGET_TOOLS = {"builtin": "unicorn", "qemu": "qemu-system-arm"}


def emulator_tool(target: str, board: Board) -> str:
    """What runs a board on a target."""
    if target == "qemu" and board.emulators.qemu is not None:
        return f"qemu-system-{board.emulators.qemu.system}"
    return TARGET_TOOLS[target]
