"""The estimate of cycles: published sequences, branches taken and not, and nothing where nothing is published."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus import MLPERF_TINY, corpus_model, without_corpus
from support.results import DIGITS, made_up_result
from support.tools import require_tool

import tinyml_sdk.bench.cycles as cycles_module
from tinyml_sdk import benchmark, inspect_model, load_result
from tinyml_sdk.bench.cycles import count_cycles, estimate_cycles
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.instructions import decode
from tinyml_sdk.bench.result import result_schema
from tinyml_sdk.bench.timing import CORE_TIMINGS
from tinyml_sdk.targets.blocks import ExecutedBlock


@pytest.fixture(autouse=True)
def _capstone():
    require_tool("capstone")


def block(code: str, entered: int = 1, left: int = 0) -> ExecutedBlock:
    return ExecutedBlock(0x100, bytes.fromhex(code.replace(" ", "")), entered, left)


def cycles(core: str, *blocks: ExecutedBlock) -> tuple[float, float]:
    counted = count_cycles(core, blocks)
    return sum(counted.low.values()), sum(counted.high.values())


KINDS = {  # machine code, little endian: name and kind
    "0868": ("ldr", "load"),  # ldr r0, [r1]
    "2868": ("ldr", "load"),
    "5861": ("str", "store"),  # str r0, [r3, #20]
    "10bd": ("pop", "load/store several"),  # pop {r4, pc}
    "d0e90023": ("ldrd", "load/store several"),  # ldrd r2, r3, [r0]
    "20fb0312": ("smlad", "multiply"),  # smlad r2, r0, r3, r1
    "50fb11f0": ("smmulr", "multiply"),
    "4843": ("muls", "multiply"),  # muls r0, r1, r0
    "90fbf1f0": ("sdiv", "divide"),  # sdiv r0, r0, r1
    "fbd1": ("b", "branch"),  # bne
    "f9d9": ("b", "branch"),  # bls
    "7047": ("bx", "branch"),  # bx lr
    "00f000f8": ("bl", "branch"),
    "2fb1": ("cbz", "branch"),
    "08bf": ("it", "other"),
    "0918": ("adds", "other"),
    "30ee200a": ("vadd", "float"),  # vadd.f32 s0, s0, s1
}


@pytest.mark.parametrize(("code", "expected"), KINDS.items(), ids=str)
def test_instructions_are_told_apart(code, expected):
    (instruction,) = decode(bytes.fromhex(code), 0)
    assert (instruction.name, instruction.kind) == expected


OPERANDS = {  # what is read, what passes the shifter, what is needed last
    "20fb0312": ("r0 r1 r3", "", "r1"),  # smlad r2, r0, r3, r1
    "c0fb0123": ("r0 r1 r2 r3", "", "r2 r3"),  # smlal r2, r3, r0, r1
    "a0fb0123": ("r0 r1", "", ""),  # umull r2, r3, r0, r1
    "21fa92f0": ("r1 r2", "r2", ""),  # sxtab16 r0, r1, r2, ror #8
    "2ffa91f0": ("r1", "", ""),  # sxtb16 r0, r1, ror #8: extends have a rotation of their own
    "c1ea0240": ("r1 r2", "r2", ""),  # pkhbt r0, r1, r2, lsl #16
    "01f30700": ("r1", "r1", ""),  # ssat r0, #8, r1
    "01ebc200": ("r1 r2", "r2", ""),  # add.w r0, r1, r2, lsl #3
    "61f38400": ("r0 r1", "r1", ""),  # bfi r0, r1, #2, #3
    "88540000": ("r0 r1 r2", "", "r0"),  # strb r0, [r1, r2]
    "4841": ("cpsr r0 r1", "", ""),  # adcs r0, r1
}


@pytest.mark.parametrize(("code", "expected"), OPERANDS.items(), ids=str)
def test_operands_are_told_apart(code, expected):
    instruction = next(decode(bytes.fromhex(code), 0))
    found = (instruction.reads, instruction.shifted, instruction.late)
    assert tuple(" ".join(sorted(registers)) for registers in found) == expected


ARM_EXAMPLES = {  # Arm DDI 0337I, section 3.3.3: cycles "normally"
    "0868 1168": 3,  # ldr r0, [r1]; ldr r1, [r2]
    "8858 5861": 3,  # ldr r0, [r1, r2]; str r0, [r3, #20]
    "8858 9950": 3,  # ldr r0, [r1, r2]; str r1, [r3, r2]
    "4859 1168 5a68": 4,  # ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]
    "d0e90023": 3,  # ldrd: three cycles when not stalled
    "0ec9": 4,  # ldm r1!, {r1, r2, r3}: one and one for each register
}


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4"])
@pytest.mark.parametrize(("code", "expected"), ARM_EXAMPLES.items())
def test_loads_and_stores_as_in_arms_examples(core, code, expected):
    assert cycles(core, block(code)) == (expected, expected)


def test_a_load_waits_for_its_address():
    assert cycles("cortex-m4", block("0868 0168")) == (4, 4)  # ldr r0, [r1]; ldr r1, [r0]: not pipelined
    assert cycles("cortex-m4", block("4918 0868")) == (4, 4)  # adds r1, r1, r1; ldr r0, [r1]: a stall
    assert cycles("cortex-m0plus", block("4918 0868")) == (3, 3)


def test_only_branches_that_are_taken_refill_the_pipeline():
    loop = block("013a fbd1", entered=10, left=9)  # subs r2, #1; bne
    assert cycles("cortex-m0", loop) == (38, 38)
    assert cycles("cortex-m0plus", loop) == (29, 29)
    assert cycles("cortex-m4", loop) == (29, 47)


def test_multiplies_differ_between_cores():
    multiply_accumulate = block("00fb0110")  # mla r0, r0, r1, r1
    assert cycles("cortex-m3", multiply_accumulate) == (2, 2)
    assert cycles("cortex-m4", multiply_accumulate) == (1, 1)
    assert cycles("cortex-m3", block("80fb0101")) == (3, 5)  # smull


def test_every_core_names_its_source():
    assert all(timing.sources and timing.assumption for timing in CORE_TIMINGS.values())


CORTEX_M7 = {  # what LLVM describes, and jnk0le measured
    "0818 9119": (1, 1),  # adds r0, r1, r0; adds r1, r2, r6: two at a time
    "0818 0018": (2, 2),  # adds r0, r1, r0; adds r0, r0, r0: the sum is needed first
    "0feb8400 0beb8601": (2, 2),  # two with shifted operands: one shifter
    "2ffa81f0 22fb0345": (1, 1),  # sxtb16 r0, r1; smlad r5, r2, r3, r4
    "22fb0345 2ffa81f0": (2, 2),  # the other way round: DSP only as the older one
    "2ffa81f0 2ffa82f3": (2, 2),  # sxtb16 twice
    "22fb0300 22fb0300": (2, 2),  # smlad r0, r2, r3, r0 twice: one multiplier, and sums follow each other
    "22fb03f0 8119": (3, 3),  # smuad r0, r2, r3; adds r1, r0, r6: a product is ready after two
    "2060 21fb0302": (2, 2),  # str r0, [r4]; smlad r2, r1, r3, r0: no multiply beside a store
    "2060 6960": (2, 2),  # str, str
    "2068 6960": (1, 1),  # ldr r0, [r4]; str r1, [r5, #4]
    "2068 6168": (1, 1),  # ldr r0, [r4]; ldr r1, [r4, #4]: even and odd word
    "2068 a168": (2, 2),  # ldr r0, [r4]; ldr r1, [r4, #8]: the same bank
    "2068 2968": (1, 2),  # ldr r0, [r4]; ldr r1, [r5]: unknown banks
    "54f8040b 54f8041b": (2, 2),  # ldr r0, [r4], #4; ldr r1, [r4], #4: the address comes first
    "2068 8119": (2, 2),  # ldr r0, [r4]; adds r1, r0, r6
    "2078 8119": (3, 3),  # ldrb r0, [r4]; adds r1, r0, r6
    "2068 20fb0321": (3, 3),  # ldr r0, [r4]; smlad r1, r0, r3, r2: a factor
    "2068 22fb0301": (2, 2),  # ldr r0, [r4]; smlad r1, r2, r3, r0: what is added to
    "2068 0168": (3, 3),  # ldr r0, [r4]; ldr r1, [r0]: an address
    "0019 0168": (3, 3),  # adds r0, r0, r4; ldr r1, [r0]
    "0019 05ebc001": (3, 3),  # adds r0, r0, r4; add.w r1, r5, r0, lsl #3
    "0ec8 0019": (3, 3),  # ldm r0!, {r1, r2, r3}: two registers a cycle, and nothing beside it
    "91fbf2f0 2018": (5, 8),  # sdiv r0, r1, r2; adds r0, r4, r0
}

CORTEX_M33 = {  # jnk0le's measurements
    "0818 9119": (2, 2),  # adds, adds: one at a time
    "2068 8119": (3, 3),  # ldr r0, [r4]; adds r1, r0, r6: load to use
    "2068 2860": (2, 2),  # ldr r0, [r4]; str r0, [r5]
    "2068 22fb0301": (2, 2),  # ldr r0, [r4]; smlad r1, r2, r3, r0: what is added to
    "2068 20fb0321": (3, 3),  # ldr r0, [r4]; smlad r1, r0, r3, r2: a factor
    "22fb0300 22fb0300": (2, 2),  # sums follow each other
    "22fb0300 8119": (3, 3),  # smlad r0, r2, r3, r0; adds r1, r0, r6
    "05ebc001 8919": (3, 3),  # add.w r1, r5, r0, lsl #3; adds r1, r1, r6
    "4843": (2, 2),  # muls r0, r1, r0
    "2ffa81f0 8119": (2, 3),  # sxtb16 r0, r1; adds r1, r0, r6: not measured
    "0fc9": (4, 4),  # ldm r1!, {r0, r1, r2, r3}
    "d0e90023": (2, 2),  # ldrd r2, r3, [r0]
    "0818 08bf": (1, 1),  # adds r0, r1, r0; it eq
}


@pytest.mark.parametrize(
    ("core", "code", "expected"),
    [("cortex-m7", *case) for case in CORTEX_M7.items()] + [("cortex-m33", *case) for case in CORTEX_M33.items()],
)
def test_pairs_and_latencies(core, code, expected):
    assert cycles(core, block(code)) == expected


PIECES = sorted({code for table in (KINDS, OPERANDS, CORTEX_M7, CORTEX_M33) for text in table for code in text.split()})
PIECES.remove("08bf")  # two IT in a row are no code


@settings(max_examples=40)
@given(st.sampled_from(sorted(CORE_TIMINGS)), st.lists(st.sampled_from(PIECES), min_size=1, max_size=24))
def test_the_worst_case_is_never_better_and_two_instructions_a_cycle_are_the_most(core, pieces):
    code = bytes.fromhex("".join(pieces))
    low, high = cycles(core, ExecutedBlock(0x100, code, 1, 0))
    assert low <= high
    assert sum(1 for _ in decode(code, 0x100)) <= 2 * low + 1


BRANCHES = {  # jnk0le, cortex_m33.md: cycles when the last branch is not taken, and when it is
    "013f fdd1": (1, 3),  # subs r7, #1; bne
    "013f 0844 fcd1": (2, 3),  # subs r7, #1; add r0, r1; bne
    "013f 0fce fcd1": (5, 6),  # subs r7, #1; ldm r6!, {r0-r3}; bne
    "013f 7ff4fdaf": (2, 3),  # subs r7, #1; bne.w: not beside another
}


@pytest.mark.parametrize(("code", "expected"), BRANCHES.items())
def test_branches_beside_other_instructions(code, expected):
    assert cycles("cortex-m33", block(code)) == (expected[0],) * 2
    assert cycles("cortex-m33", block(code, left=1)) == (expected[1],) * 2


def test_a_wide_instruction_across_two_words_may_be_fetched_twice():
    assert cycles("cortex-m33", replace(block("013f fdd1", left=1), address=0x102)) == (3, 4)


def test_a_loop_waits_for_what_its_last_turn_loaded():
    loop = "0068 fdd1"  # ldr r0, [r0]; bne to itself
    assert cycles("cortex-m7", block(loop)) == (1, 1)
    assert cycles("cortex-m7", block(loop, entered=10, left=10)) == (20, 20)


def test_a_branch_predictor_misses_the_rarer_way_or_not():
    loop = block("013a fdd1", entered=10, left=9)  # subs r2, #1; bne to itself: both in one cycle
    assert cycles("cortex-m7", loop) == (10, 10 + 9 + 8)
    assert cycles("cortex-m7", block("013a fdd1", entered=10, left=10)) == (10, 20)


@pytest.mark.parametrize("core", ["cortex-m55", "riscv32imc", "xtensa-lx6"])
def test_nothing_is_said_of_cores_without_published_timing(core):
    assert estimate_cycles(core, 1_000_000, 4, [block("0868")], [], []) is None


def test_nothing_is_said_where_nothing_was_recorded():
    assert estimate_cycles("cortex-m4", 1_000_000, 4, [], [], []) is None


def test_reading_the_counter_is_taken_out():
    estimate = estimate_cycles("cortex-m0", 1_000_000, 30, [block("0918", entered=60)], [], [])
    assert estimate is not None
    assert (estimate.total, estimate.milliseconds, estimate.classes[0].instructions) == (30, 0.03, 30)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps2-an505"])
def test_a_real_inference(board):
    require_tool("unicorn")
    result = benchmark(DIGITS, board=board)
    estimate = result.estimated_cycles
    assert estimate is not None
    assert sum(part.instructions for part in estimate.classes) == pytest.approx(result.per_inference.median, rel=0.005)
    assert sum(part.cycles for part in estimate.classes) == pytest.approx(estimate.total, rel=0.001)
    assert sum(estimate.layers) == pytest.approx(estimate.total, rel=0.02)
    assert result.per_inference.median / 2 < estimate.low <= estimate.total <= estimate.high
    assert (estimate.low > result.per_inference.median) == (board != "mps2-an500")  # two at a time
    assert estimate.milliseconds == pytest.approx(estimate.total * 1e3 / result.clock_hz, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "board", "optimize"),
    [(DIGITS, "mps2-an505", "size")]
    + [
        pytest.param(corpus_model(name), board, optimize, marks=without_corpus)
        for name, board, optimize in zip(
            MLPERF_TINY,
            ("mps2-an500", "mps2-an505", "mps2-an500", "mps2-an505"),
            ("speed", "speed", "size", "speed"),
            strict=True,
        )
    ],
    ids=lambda case: Path(case).stem,
)
def test_no_instruction_of_a_kernel_is_unknown(model, board, optimize, tmp_path, monkeypatch):
    require_tool("unicorn")
    executed = set()

    def recorded(code, address):
        for instruction in decode(code, address):
            executed.add((instruction.group, instruction.name))
            yield instruction

    monkeypatch.setattr(cycles_module, "decode", recorded)
    cycles_module._block.cache_clear()
    one_input = tmp_path / "one.npz"
    np.savez(one_input, inputs=check_inputs(inspect_model(model).graph.input_tensors)[0][0][None])
    benchmark(model, board=board, optimize=optimize, inputs=one_input, runs=1)
    assert len(executed) > 30
    assert {name for group, name in executed if group == "unknown"} == set()


def test_the_estimate_survives_its_file(tmp_path):
    estimate = estimate_cycles("cortex-m0", 1_000_000, 30, [block("0918", entered=60)], [[block("0918")]], [1])
    result = replace(made_up_result(), estimated_cycles=estimate)
    path = tmp_path / "result.json"
    path.write_text(result.to_json())
    assert load_result(path) == result
    jsonschema.validate(json.loads(result.to_json()), result_schema())


def test_results_without_the_estimate_are_still_read(tmp_path):
    old = made_up_result()
    data = old.to_json().replace('"estimated_cycles": null', '"x": 0')
    path = tmp_path / "old.json"
    path.write_text(data.replace(',\n  "x": 0', ""))
    assert load_result(path) == replace(old, estimated_cycles=None)
