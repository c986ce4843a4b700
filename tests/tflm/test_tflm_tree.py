"""Which library of a TFLM tree a board gets, and what is said where none suits it. The libraries are real archives."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.tools import require_tool

from tinyml_sdk import build_firmware, load_board
from tinyml_sdk.errors import BoardError, FitError, InputError
from tinyml_sdk.resources import boards_dir
from tinyml_sdk.tflm import find_library

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
CMSIS_NN = "void *_ZN6tflite21Register_CONV_2D_INT8Ev(void) { return 0; }"
LOGS = "void _Z11MicroPrintfPKcz(const char *format) { (void)format; }"

HARD = ("-mfloat-abi=hard",)
M0 = ("-mcpu=cortex-m0",)
M3 = ("-mcpu=cortex-m3",)
M4_SOFT = ("-mcpu=cortex-m4", "-mfloat-abi=soft")
M4_HARD = ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", *HARD)
M7_SINGLE = ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", *HARD)
M7_DOUBLE = ("-mcpu=cortex-m7", "-mfpu=fpv5-d16", *HARD)


def small_board(folder: Path, old: str, new: str) -> Path:
    """The micro:bit with another size of memory."""
    text = (boards_dir() / "microbit.yaml").read_text()
    assert old in text
    board = folder / "small.yaml"
    board.write_text(text.replace(old, new).replace("name: microbit", "name: small"))
    return board


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with headers and no library."""
    require_tool("arm-none-eabi-gcc")
    header = tmp_path / "tensorflow" / "lite" / "micro" / "micro_interpreter.h"
    header.parent.mkdir(parents=True)
    header.write_text("")
    for name in ("flatbuffers/include", "gemmlowp", "ruy"):
        (tmp_path / "tensorflow/lite/micro/tools/make/downloads" / name).mkdir(parents=True)
    return tmp_path


def add_library(tree: Path, name: str, flags: tuple[str, ...], *functions: str) -> Path:
    folder = tree / "gen" / name / "lib"
    folder.mkdir(parents=True)
    (folder / "a.c").write_text(
        "\n".join(["float twice(float x) { return 2.0f * x; }", "double f(double x) { return x + 1; }", *functions])
    )
    subprocess.run(["arm-none-eabi-gcc", "-mthumb", *flags, "-c", "a.c"], cwd=folder, check=True)
    archive = folder / "libtensorflow-microlite.a"
    subprocess.run(["arm-none-eabi-ar", "rcs", archive, "a.o"], cwd=folder, check=True)
    return archive


def test_the_library_of_the_core_with_the_best_kernels(tree: Path) -> None:
    add_library(tree, "m0", M0, CMSIS_NN)
    add_library(tree, "m4_reference", M4_HARD)
    add_library(tree, "m4_soft", M4_SOFT, CMSIS_NN)
    logs = add_library(tree, "m4_logs", M4_HARD, CMSIS_NN, LOGS)
    assert find_library(tree, load_board("mps2-an386")).archive == logs
    best = add_library(tree, "m4", M4_HARD, CMSIS_NN)
    library = find_library(tree, load_board("mps2-an386"))
    assert library.archive == best
    assert library.hard_float
    assert library.defines == ("TF_LITE_STATIC_MEMORY", "CMSIS_NN", "NDEBUG", "TF_LITE_STRIP_ERROR_STRINGS")
    assert library.include_dirs[0] == tree.resolve()
    # A Cortex-M7's is for the same architecture, and its FPU is one that a Cortex-M4 does not have.
    m7 = add_library(tree, "m7", M7_SINGLE, CMSIS_NN)
    assert find_library(tree, load_board("mps2-an386")).archive == best
    assert find_library(tree, load_board("mps2-an500")).archive == m7


def test_logs_and_reference_kernels_show_in_what_the_headers_are_told(tree: Path) -> None:
    add_library(tree, "m3", M3, LOGS)
    assert find_library(tree, load_board("mps2-an385")).defines == ("TF_LITE_STATIC_MEMORY",)


@pytest.mark.parametrize(
    ("board", "flags", "why"),
    [
        ("mps2-an385", M4_SOFT, "armv7e-m, a cortex-m3 is armv7-m"),
        ("microbit", M3, "armv7-m, a cortex-m0 is armv6-m"),
        ("mps2-an500", M7_DOUBLE, "double precision"),
        ("mps2-an386", M7_SINGLE, "needs an FPv5"),
    ],
)
def test_a_library_for_another_core_is_refused(tree: Path, board: str, flags: tuple[str, ...], why: str) -> None:
    add_library(tree, "other", flags, CMSIS_NN)
    with pytest.raises(InputError, match=why) as caught:
        find_library(tree, load_board(board))
    assert "gen/other" in caught.value.where
    assert "TARGET_ARCH=" in caught.value.hint


def test_an_older_core_s_library_serves_where_there_is_no_better(tree: Path) -> None:
    archive = add_library(tree, "soft", M4_SOFT, CMSIS_NN)
    library = find_library(tree, load_board("mps2-an500"))
    assert library.archive == archive
    assert not library.hard_float


def test_what_is_missing_is_named(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    board = load_board("mps2-an386")
    with pytest.raises(InputError, match="there is no libtensorflow") as caught:
        find_library(tree, board)
    assert "TARGET_ARCH=cortex-m4+fp" in caught.value.hint
    (tree / "tensorflow/lite/micro/tools/make/downloads/ruy").rmdir()
    with pytest.raises(InputError, match="ruy"):
        find_library(tree, board)
    with pytest.raises(InputError, match="no TFLM tree"):
        find_library(tmp_path_factory.mktemp("empty"), board)
    with pytest.raises(InputError, match="no TFLM tree"):
        find_library("/does/not/exist", board)


def test_a_file_that_is_no_archive_is_no_traceback(tree: Path) -> None:
    folder = tree / "lib"
    folder.mkdir()
    archive = folder / "libtensorflow-microlite.a"
    for content in (b"", b"!<arch>\n", b"!<arch>\nnonsense" + b"x" * 60, b"!<arch>\n" + b" " * 58 + b"`\n"):
        archive.write_bytes(content)
        with pytest.raises(InputError):
            find_library(tree, load_board("mps2-an386"))


def test_options_that_exclude_each_other_are_told_before_building(tree: Path, tmp_path: Path) -> None:
    add_library(tree, "m4", M4_HARD, CMSIS_NN)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="zig cannot link") as caught:
        build_firmware(DIGITS, out, board="mps2-an386", runtime="tflm", tflm_root=tree, toolchain="zig")
    assert "gnu_arm" in caught.value.hint
    with pytest.raises(InputError, match="its library is needed") as caught:
        build_firmware(DIGITS, out, board="mps2-an386", runtime="tflm")
    assert "TFLM_ROOT" in caught.value.hint
    with pytest.raises(BoardError, match="builds with zig"):
        build_firmware(DIGITS, out, board="mps2-an386", runtime="tflm", toolchain="platformio")
    assert not out.exists()


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("0x0000_0000, size: 0x4_0000", "0x0000_0000, size: 0x4000", "flash needs"),
        ("size: 0x4000", "size: 0x800", "RAM needs"),
    ],
)
def test_a_model_too_large_for_the_board_is_refused_before_building(
    tree: Path, tmp_path: Path, old: str, new: str, missing: str
) -> None:
    add_library(tree, "m0", M0, CMSIS_NN)
    with pytest.raises(FitError, match=missing):
        build_firmware(DIGITS, tmp_path / "out", board=small_board(tmp_path, old, new), runtime="tflm", tflm_root=tree)
    assert not (tmp_path / "out").exists()
