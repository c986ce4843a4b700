"""Layers that run row by row on the cores: their kernels have assembler, and some load words that must be aligned."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.chains import Chain, Stage, whole_stream
from support.tools import require_tool

from tinyml_sdk.bench.check import compare_outputs
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.bench.session import measure
from tinyml_sdk.firmware import build_inspected, inspect_model
from tinyml_sdk.ops import Optimize
from tinyml_sdk.plan import plan_memory
from tinyml_sdk.targets import open_target

pytestmark = pytest.mark.slow

ODD = Chain(
    (11, 7, 3),
    (
        Stage(channels=5, activation="RELU"),
        Stage("DEPTHWISE_CONV_2D", activation="RELU"),
        Stage(filter=(1, 1), channels=5),
        Stage("ADD"),
        Stage("MAX_POOL_2D", filter=(2, 2), stride=(2, 2)),
        Stage("DEPTHWISE_CONV_2D", filter=(3, 2), padding="VALID"),
    ),
)
"""Rows of 21, 35 and 20 bytes: buffers and slices begin anywhere."""


@pytest.mark.parametrize("optimize", ["speed", "size"])
@pytest.mark.parametrize(
    ("board", "emulator", "tool"),
    [
        ("mps2-an386", "builtin", "unicorn"),
        ("mps2-cm0plus", "builtin", "unicorn"),
        ("virt-rv32", "builtin", "unicorn"),
        ("mps3-an547", "qemu", "qemu-system-arm"),
    ],
)
def test_rows_of_any_length(board, emulator, tool, optimize, tmp_path: Path):
    require_tool(tool)
    run_bit_exact(board, emulator, optimize, tmp_path)


@pytest.mark.parametrize("board", ["mps2-cm0plus", "virt-rv32"])
def test_words_are_aligned(board, tmp_path: Path):
    """Where a core or its memory may know no other words."""
    require_tool("unicorn")
    from support.alignment import accesses_by_alignment

    with accesses_by_alignment() as counts:
        run_bit_exact(board, "builtin", "speed", tmp_path)
    assert counts[False] == 0
    assert counts[True] > 100_000


def run_bit_exact(board: str, emulator: str, optimize: Optimize, tmp_path: Path) -> None:
    """The chain as one stream, and every output byte as TFLM has it."""
    model = tmp_path / "odd.tflite"
    model.write_bytes(ODD.model())
    inspection = inspect_model(model, board, optimize, streams=False)
    core = inspection.board.core_spec
    stream = whole_stream(inspection.graph, inspection.layers[:5], 2, core, optimize)
    layers = (stream, *inspection.layers[5:])
    streamed = dataclasses.replace(inspection, layers=layers, plan=plan_memory(inspection.graph, layers))
    firmware = build_inspected(streamed, tmp_path / "p", "zig", optimize)
    inputs = check_inputs(streamed.graph.input_tensors)
    with ExitStack() as stack:
        expected = open_reference(model, streamed, stack).run(inputs)
        target = stack.enter_context(open_target(emulator, streamed.board))
        measured = measure(target, firmware.elf, streamed.graph, streamed.board, inputs, 1, lambda *_: None)
    assert compare_outputs("reference", expected, measured.outputs).bit_exact
