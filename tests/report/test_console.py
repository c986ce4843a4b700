"""Reports as plain text of 80 columns: nothing cut that is a figure, no colour in a pipe, no names that steer."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import RenderableType
from support.results import made_up_result

from tinyml_sdk.bench.comparison import compare_results
from tinyml_sdk.bench.cycles import estimate_cycles
from tinyml_sdk.bench.result import Accuracy, BenchResult, Check, PerInference
from tinyml_sdk.bench.samples import Samples
from tinyml_sdk.boards import list_boards, load_board
from tinyml_sdk.doctor import Finding
from tinyml_sdk.firmware import Inspection, inspect_model
from tinyml_sdk.report.boards import board_report, board_table
from tinyml_sdk.report.comparison import comparison_report
from tinyml_sdk.report.console import render, shorten, sized
from tinyml_sdk.report.findings import findings_report
from tinyml_sdk.report.inspection import inspection_json, inspection_report
from tinyml_sdk.report.measurement import measurement_line, measurement_report
from tinyml_sdk.report.samples import samples_report
from tinyml_sdk.targets.blocks import ExecutedBlock

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite"


def text_of(report: RenderableType) -> str:
    text = render(report, io.StringIO())
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text
    return text


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    return inspect_model(DIGITS, "microbit")


@pytest.fixture
def result() -> BenchResult:
    return made_up_result()


# -- inspect ------------------------------------------------------------------------------------------------------


def test_inspection_shows_every_layer_with_its_figures(inspection: Inspection) -> None:
    lines = text_of(inspection_report(inspection)).splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("0  CONV_2D"))
    constants = f"{sum(constant.values.nbytes for constant in inspection.layers[0].constants):,}"
    assert lines[first].split() == ["0", "CONV_2D", "1x8x8x8", "int8", "0.01529", "@", "-128", "4,608", constants]
    kernel, *rest = lines[first + 1].split()
    assert inspection.layers[0].kernel.startswith(f"tinyml_{kernel}")
    assert rest[0].startswith("…ts_1/re_lu_")  # as much of it as the kernel's name leaves
    assert rest[1:] == ["8", "weight", "scales"]
    total = next(line for line in lines if line.split()[:1] == ["total"])
    assert total.split() == ["total", f"{inspection.macs:,}", f"{inspection.weight_bytes:,}"]


def test_names_of_kernels_give_way_to_shapes(inspection: Inspection) -> None:
    """MobileNet's are as long as `1x48x48x16 int8`, beside kernels of 27 letters."""
    tensors = tuple(replace(tensor, shape=(1, 48, 48, 16)) for tensor in inspection.graph.tensors)
    wide = replace(inspection, graph=replace(inspection.graph, tensors=tensors))
    lines = text_of(inspection_report(wide)).splitlines()
    assert sum("1x48x48x16 int8" in line for line in lines) == len(inspection.layers) + 2


def test_inspection_shows_the_plan_and_the_fit(inspection: Inspection) -> None:
    text = text_of(inspection_report(inspection))
    plan = inspection.plan
    assert f"{plan.arena_bytes:,} bytes  optimal" in text
    assert f"{plan.live_bytes:,} bytes" in text
    assert f"layer {plan.peak_layer}" in text
    assert "On microbit" in text
    assert "does not fit" not in text


def test_a_gap_and_a_misfit_are_told_in_bytes(inspection: Inspection) -> None:
    assert inspection.fit is not None
    plan = replace(inspection.plan, optimal=False, arena_bytes=inspection.plan.lower_bound + 100)
    fit = replace(inspection.fit, ram_needed=20_000)
    text = text_of(inspection_report(replace(inspection, plan=plan, fit=fit)))
    assert f"100 bytes ({100 / plan.lower_bound:.1%}) over".replace("%)", " %)") in text
    assert "does not fit: 3,616 bytes missing" in text


def test_names_from_the_file_cannot_steer_the_terminal(inspection: Inspection) -> None:
    graph = inspection.graph
    tensors = tuple(replace(tensor, name="\x1b]0\x07[bold]x[/nope]") for tensor in graph.tensors)
    text = text_of(inspection_report(replace(inspection, graph=replace(graph, tensors=tensors))))
    assert "\x07" not in text
    assert "[/nope]" in text


def test_inspection_json_adds_up(inspection: Inspection) -> None:
    facts = json.loads(inspection_json(inspection))
    assert facts["schema"] == 1
    assert sum(layer["macs"] for layer in facts["layers"]) == facts["model"]["macs"] == inspection.macs
    assert sum(layer["weight_bytes"] for layer in facts["layers"]) == facts["model"]["weights"]
    assert facts["arena"]["bytes"] == inspection.plan.arena_bytes
    assert facts["fit"]["ok"] is True
    assert facts["layers"][0]["shape"] == [1, 8, 8, 8]


# -- bench --------------------------------------------------------------------------------------------------------


def test_measurement_headline_and_costs(result: BenchResult) -> None:
    text = text_of(measurement_report(replace(result, accuracy=Accuracy(0.98888, 0.98888, 360))))
    assert text.splitlines()[0] == "digits.tflite on mps2-an386 (cortex-m4)"
    assert "bit exact with tflite-micro over 8 inputs\n" in text
    for words in (
        "per inference 36,100 instructions the same in 8 runs",
        "per MAC 1.00 instructions 35,968 MACs",
        "code 10,000",
        "weights 5,546",
        "RAM 3,000 bytes",
        "stack 456 the most that was used",
        "accuracy 98.89 % reference 98.89 %, 360 labelled inputs",
    ):
        assert any(line.split() == words.split() for line in text.splitlines()), words
    assert "time" not in text, "an emulator has no time"


def test_measurement_layers(result: BenchResult) -> None:
    lines = [line for line in text_of(measurement_report(result)).splitlines() if line[:1].isdigit()]
    assert [line.split()[0] for line in lines] == [str(layer.index) for layer in result.layers]
    assert lines[-1].split()[:5] == ["7", "SOFTMAX", "8,000", "22.2", "%"]
    assert lines[-1].count("█") == 10


def test_measurement_that_is_wrong_says_so(result: BenchResult) -> None:
    wrong = replace(result, check=Check("host", 8, False, 1_234, 255, 3))
    said = "NOT bit exact with the same C on this host: 1,234 elements differ over 8 inputs"
    assert f"{said}\n" in text_of(measurement_report(wrong))
    assert said in measurement_line(wrong)


def test_large_figures_are_never_cut(result: BenchResult) -> None:
    large = 1_234_567_890
    layers = tuple(replace(layer, count=large, macs=large) for layer in result.layers)
    inference = PerInference(large, large - 1, large + 1, 100_000)
    text = text_of(measurement_report(replace(result, layers=layers, per_inference=inference, counter_resolution=40.0)))
    assert text.count("1,234,567,890") >= len(layers) + 1
    assert "counter step" in text


def test_estimated_cycles_are_called_so(result: BenchResult) -> None:
    blocks = [ExecutedBlock(0, bytes.fromhex("013afbd1"), 100, 99)]
    estimate = estimate_cycles("cortex-m0", 25_000_000, 200, blocks, [], [])
    text = text_of(measurement_report(replace(result, estimated_cycles=estimate)))
    words = "estimated 398 cycles 0.01592 ms at 25 MHz, without wait states".split()
    lines = [line.split() for line in text.splitlines()]
    assert lines[lines.index(words) + 1] == "not compared with silicon".split()


def test_cycles_have_a_time(result: BenchResult) -> None:
    text = text_of(measurement_report(replace(result, counter="cycles", latency_us=1_444.0)))
    assert any(line.split() == ["time", "1.444", "ms", "at", "25", "MHz"] for line in text.splitlines())


def test_ascii_terminals_get_ascii_bars(result: BenchResult) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"  # type: ignore[assignment]

    assert "##########" in render(measurement_report(result), Ascii())


# -- samples ------------------------------------------------------------------------------------------------------


def samples(labels: list[int] | None, shape: tuple[int, ...] = (1, 8, 8, 1)) -> Samples:
    """Eight inputs that are all taken for a 3."""
    scores = np.zeros((1, 10), np.int8)
    scores[0, 3] = 9
    inputs = [[np.zeros(shape, np.int8)]] * 8
    return Samples(inputs, [[scores]] * 8, None if labels is None else np.array(labels))


def test_pictures_show_a_wrong_one_if_there_is_any() -> None:
    report = samples_report(samples([3, 3, 3, 3, 3, 3, 3, 5]))
    assert report is not None
    text = text_of(report)
    assert "of 8 inputs, 7 are right; here are 6\n" in text
    assert text.count("3 ✓") == 5
    assert text.count("3 ✗ (5)") == 1


def test_pictures_without_labels() -> None:
    report = samples_report(samples(None))
    assert report is not None
    assert "of 8 inputs; here are 6\n" in text_of(report)


def test_what_is_no_image_gets_no_pictures() -> None:
    assert samples_report(samples(None, shape=(1, 640))) is None


# -- the others ---------------------------------------------------------------------------------------------------


def test_boards(capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(board_table(list_boards()))
    assert any(line.split()[:2] == ["mps2-an386", "cortex-m4"] for line in text.splitlines())
    assert "…" not in text, "a column is cut off at 80 columns"
    assert "16 KB at 0x20000000" in text_of(board_report(load_board("microbit")))
    assert capsys.readouterr() == ("", ""), "the library prints nothing"


def test_findings_say_what_to_do() -> None:
    findings = (
        Finding("python", "ok", "3.11", "everything"),
        Finding("zig", "missing", "not installed", "building", "pip install it", required=True),
    )
    text = text_of(findings_report(findings))
    assert "-> pip install it" in text
    assert "for building" in text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("short", "short"),
        ("model/conv;model/bn", "model/conv"),
        ("a" * 5 + "/tail", "…aa/tail"),
        ("\x1bx", "?x"),
        ("", ""),
    ],
)
def test_shorten(name: str, short: str) -> None:
    assert shorten(name, 8 if len(name) == 10 else 20) == short


@pytest.mark.parametrize(
    ("size", "text"), [(16_384, "16 KB"), (1_000, "1,000 bytes"), (4 << 20, "4 MB"), (1_536 << 10, "1,536 KB")]
)
def test_sized(size: int, text: str) -> None:
    assert sized(size) == text


def test_render_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert render("text", sys.stdout) == "text\n"
    assert capsys.readouterr().out == ""


# -- compare ------------------------------------------------------------------------------------------------------


def test_comparison_shows_both_and_the_change(result: BenchResult) -> None:
    faster = replace(result, board="microbit", per_inference=replace(result.per_inference, median=18_050))
    lines = text_of(comparison_report(compare_results(result, faster))).splitlines()
    assert "not the same in both: board" in lines
    (instructions,) = [line for line in lines if line.startswith("instructions")]
    assert instructions.split() == ["instructions", "36,100", "18,050", "-18,050", "-50.0", "%"]
    (flash,) = [line for line in lines if line.startswith("flash")]
    assert flash.split() == ["flash", "15,546", "15,546", "same"]
    assert any(line.startswith("layer 0 CONV_2D") for line in lines)
