"""TensorFlow Lite Micro itself on every emulated board, bit exact with the wheel. Needs $TFLM_ROOT (docs/tflm.md)."""

from __future__ import annotations

import shutil
from math import ceil
from pathlib import Path

import pytest
from support.corpus import MLPERF_TINY, TFLM, corpus_model, without_corpus
from support.firmware_check import DIGITS, run_bit_exact, run_tool
from support.tools import TARGET_TOOLS, require_tflm, require_tool

from tinyml_sdk import BenchResult, benchmark, build_firmware, compare_results, generate, list_boards, load_board
from tinyml_sdk.codegen import read_manifest
from tinyml_sdk.errors import FitError
from tinyml_sdk.link import Client
from tinyml_sdk.targets import open_target
from tinyml_sdk.tflm import find_library
from tinyml_sdk.toolchains import BuildJob, get_toolchain

ARM_BOARDS = [board for board in list_boards() if board.core.startswith("cortex-m")]
BUILTIN = [board.name for board in ARM_BOARDS if board.emulators.builtin]
QEMU = [board.name for board in ARM_BOARDS if board.emulators.qemu]

pytestmark = pytest.mark.slow


def bench(model: Path, board: str, target: str = "builtin") -> BenchResult:
    root = require_tflm()
    require_tool("arm-none-eabi-g++")
    require_tool(TARGET_TOOLS[target])
    return benchmark(model, board=board, target=target, runtime="tflm", tflm_root=root)


def assert_sound(result: BenchResult) -> None:
    assert result.runtime == "tflm"
    assert result.check.bit_exact
    assert result.toolchain.flags[-1].startswith("tflm:cortex_m_generic_")
    assert result.check.reference == "tflite-micro"
    # Layer by layer, nothing is left out and nothing counted twice; the loop over them is the interpreter's.
    counted = sum(layer.count for layer in result.layers)
    assert counted == pytest.approx(result.per_inference.median, rel=0.03, abs=2_000)


@pytest.mark.parametrize("board", BUILTIN)
def test_tflm_on_a_board(board: str) -> None:
    result = bench(DIGITS, board)
    assert_sound(result)
    assert result.flash.weights == DIGITS.stat().st_size
    assert 1_000 < result.ram.arena < 16_000


@pytest.mark.parametrize("board", QEMU)
def test_tflm_in_qemu_costs_what_it_costs_in_the_builtin_emulator(board: str) -> None:
    qemu = bench(DIGITS, board, "qemu")
    assert_sound(qemu)
    if board not in BUILTIN:
        return
    builtin = bench(DIGITS, board)
    assert qemu.ram == builtin.ram
    assert qemu.flash == builtin.flash
    assert abs(qemu.per_inference.median - builtin.per_inference.median) <= ceil(qemu.counter_resolution)


@without_corpus
@pytest.mark.parametrize("model", [*MLPERF_TINY, *TFLM])
def test_published_models_in_tflm_and_in_generated_code(model: str) -> None:
    tflm = bench(corpus_model(model), "mps2-an386")
    assert_sound(tflm)
    aot = benchmark(corpus_model(model), board="mps2-an386")
    comparison = compare_results(aot, tflm)
    assert tflm.model.sha256 == aot.model.sha256
    assert comparison.new.per_inference.median > comparison.old.per_inference.median


@without_corpus
def test_a_model_that_is_too_large_for_the_board_is_refused_before_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="RAM needs"):
        build_firmware(
            corpus_model("mlperf_tiny/kws"),
            tmp_path / "out",
            board="microbit",
            runtime="tflm",
            tflm_root=require_tflm(),
        )
    assert not (tmp_path / "out").exists()


def test_the_least_arena_is_the_least(tmp_path: Path) -> None:
    """16 bytes less than the header says, and the firmware's model does not initialise."""
    root, board = require_tflm(), load_board("mps2-an386")
    firmware = build_firmware(DIGITS, tmp_path / "p", board="mps2-an386", runtime="tflm", tflm_root=root)
    header = tmp_path / "p" / "model" / "digits.h"
    line = "#define DIGITS_ARENA_BYTES {}u"
    text = header.read_text()
    assert line.format(firmware.arena_bytes) in text
    header.write_text(text.replace(line.format(firmware.arena_bytes), line.format(firmware.arena_bytes - 16)))
    manifest = read_manifest(tmp_path / "p")
    job = BuildJob(
        root=tmp_path / "p",
        sources=tuple(manifest["sources"]),
        include_dirs=tuple(manifest["include_dirs"]),
        linker_script=manifest["linker_script"],
        board=board,
        optimize="speed",
        output=tmp_path / "less.elf",
        library=find_library(root, board),
    )
    less = get_toolchain("gnu_arm").build(job).elf
    for elf, ready in ((firmware.elf, True), (less, False)):
        with open_target("builtin", board) as target:
            target.load(elf)
            assert Client(target.open()).info().ready is ready


@pytest.mark.parametrize("board", ["mps2-an386"])
def test_cmake_builds_it(tmp_path: Path, board: str) -> None:
    root = require_tflm()
    require_tool("cmake")
    require_tool("arm-none-eabi-g++")
    generate(DIGITS, tmp_path / "p", board=board, project="cmake", runtime="tflm", tflm_root=root)
    assert not (tmp_path / "p" / "cmake" / "zig.cmake").exists()
    run_tool("cmake", "--preset", "gnu_arm", f"-DTFLM_ROOT={root}", cwd=tmp_path / "p")
    said = run_tool("cmake", "--build", "--preset", "gnu_arm", cwd=tmp_path / "p")
    assert "warning" not in said
    measured = run_bit_exact(tmp_path / "p" / "build" / "gnu_arm" / "firmware.elf", board)
    assert measured.counts[0] == pytest.approx(bench(DIGITS, board).per_inference.median, rel=0.01)
    shutil.rmtree(tmp_path / "p")
