"""Every board runs the digits example, in every emulator, built by every toolchain, with equal results and counts."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from support.corpus import corpus_model, without_corpus
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, emulator_tool, require_tool

from tinyml_sdk import BoardError, FitError, benchmark, build_firmware, inspect_model, list_boards, load_board
from tinyml_sdk.resources import boards_dir

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
BOARDS = [board.name for board in list_boards() if board.emulators.qemu and board.emulators.builtin]
QEMU_ONLY = [board.name for board in list_boards() if board.emulators.qemu and not board.emulators.builtin]
BUILTIN_ONLY = [board.name for board in list_boards() if board.emulators.builtin and not board.emulators.qemu]

pytestmark = pytest.mark.slow


def test_the_boards_to_begin_with_are_there():
    assert {"mps2-an385", "mps2-an386", "mps2-an500", "netduinoplus2", "microbit"} <= set(BOARDS)


@pytest.mark.parametrize(
    ("board", "toolchain"),
    [(board, "zig") for board in BOARDS] + [(board, "gnu_arm") for board in BOARDS if board != "virt-rv32"],
)
def test_board_in_both_emulators(board, toolchain):
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["builtin"])
    require_tool(emulator_tool("qemu", load_board(board)))
    builtin, qemu = (
        benchmark(DIGITS / "digits.tflite", board=board, target=target, toolchain=toolchain)
        for target in ("builtin", "qemu")
    )
    assert builtin.check.bit_exact
    assert qemu.check.bit_exact
    assert builtin.ram == qemu.ram
    assert builtin.flash == qemu.flash
    assert builtin.flash.weights == inspect_model(DIGITS / "digits.tflite", board).weight_bytes
    a_tick = ceil(qemu.counter_resolution)  # in whole instructions, as counts are
    assert abs(builtin.per_inference.median - qemu.per_inference.median) <= a_tick
    for ours, theirs in zip(builtin.layers, qemu.layers, strict=True):
        assert abs(ours.count - theirs.count) <= 2 * qemu.counter_resolution, ours


@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
@pytest.mark.parametrize("board", QEMU_ONLY)
def test_a_board_that_only_qemu_has(board, toolchain):
    """Nobody has to say so."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["qemu"])
    result = benchmark(DIGITS / "digits.tflite", board=board, toolchain=toolchain)
    assert result.check.bit_exact
    assert result.target.name == "qemu"
    with pytest.raises(BoardError, match="does not model this board") as caught:
        benchmark(DIGITS / "digits.tflite", board=board, target="builtin")
    assert caught.value.hint == "use --target qemu"


@pytest.mark.parametrize("board", BUILTIN_ONLY)
def test_a_real_board_in_the_builtin_emulator(board):
    require_tool(TOOLCHAIN_TOOLS["zig"])
    require_tool(TARGET_TOOLS["builtin"])
    assert benchmark(DIGITS / "digits.tflite", board=board).check.bit_exact


@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
def test_a_cortex_m33_without_dsp(tmp_path, toolchain):
    """A board file of the user's: the core of MPS2 AN505 as an implementation that left the extension out."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS["builtin"])
    with_dsp = (boards_dir() / "mps2-an505.yaml").read_text(encoding="utf-8")
    board = tmp_path / "without_dsp.yaml"
    board.write_text(
        with_dsp.replace("core: cortex-m33", "core: cortex-m33+nodsp").replace("name: mps2-an505", "name: without_dsp")
    )
    result = benchmark(DIGITS / "digits.tflite", board=board, toolchain=toolchain)
    assert result.check.bit_exact
    assert result.core == "cortex-m33+nodsp"
    kernels = {layer.kernel for layer in inspect_model(DIGITS / "digits.tflite", board).layers}
    assert "tinyml_conv_2d_scalar" in kernels


@without_corpus
def test_a_model_that_does_not_fit_is_refused_before_building(tmp_path):
    with pytest.raises(FitError) as caught:
        benchmark(corpus_model("mlperf_tiny/vww"), board="microbit", project_dir=tmp_path / "vww")
    assert "missing" in str(caught.value)
    assert "RAM" in str(caught.value)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "vww").exists()


@pytest.mark.parametrize("optimize", ["speed", "size"])
@pytest.mark.parametrize("toolchain", ["zig", "gnu_arm"])
def test_flash_is_split_whatever_builds_it(tmp_path, toolchain, optimize):
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    firmware = build_firmware(
        DIGITS / "digits.tflite", tmp_path / "p", board="mps2-an386", toolchain=toolchain, optimize=optimize
    )
    inspection = inspect_model(DIGITS / "digits.tflite", "mps2-an386", optimize=optimize)
    assert firmware.memory.weights == inspection.weight_bytes
    assert 1_000 < firmware.memory.code < 20_000


def test_labelled_inputs_give_accuracy_on_the_device():
    require_tool("unicorn")
    result = benchmark(DIGITS / "digits.tflite", board="mps2-an386", inputs=DIGITS / "digits_test.npz")
    assert result.check.bit_exact
    assert result.accuracy is not None
    assert result.accuracy.device == result.accuracy.reference > 0.97
    assert result.accuracy.samples == result.check.inputs == result.per_inference.runs
