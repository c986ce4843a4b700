"""The comparison with CMSIS-NN and bakeNN: the peers compute what TFLM does, and the report counts rightly."""

from __future__ import annotations

import pytest
from support.results import DIGITS
from support.tools import require_tool

from benchmarks.kernels.measuring import Counted, LayerCount, Setting, measure_bakenn, measure_cmsis_nn, measure_ours
from benchmarks.kernels.report import Compared, geometric_mean, layer_table, means, model_table, worst_layers

MIX = {
    "multiply": 40,
    "divide": 0,
    "load": 20,
    "store": 10,
    "load/store several": 10,
    "branch": 5,
    "float": 0,
    "other": 15,
}


def counted(kernels: str, kernel: str, count: int, *, equal: bool = True) -> Counted:
    layers = (
        LayerCount(0, "CONV_2D", kernel, "8x8x4 → 8x8x8", outputs=512, macs=2048, count=count, mix=MIX),
        LayerCount(1, "SOFTMAX", "tinyml_softmax", "8 → 8", outputs=8, macs=0, count=100, mix=MIX),
    )
    return Counted(kernels, count + 100, None, equal, None, layers)


PAIR = Compared(
    "kws",
    "zig",
    counted("ours", "tinyml_conv_2d_dsp", 2_048),
    (
        counted("CMSIS-NN -O2", "cmsis_nn_convolve", 4_096),
        counted("CMSIS-NN -O3", "cmsis_nn_convolve", 5_000, equal=False),
    ),
)


def test_the_best_of_the_peer_is_compared():
    assert PAIR.best.kernels == "CMSIS-NN -O2"
    (row,) = list(model_table([PAIR], {"kws": {"instructions": 8_000}}))[2:]
    assert row == "| kws | zig | 2,148 | 1.05 | 4,196 (-O2) | 0.51 | 0.27 | 0.52 | NO: CMSIS-NN -O3 |"


def test_layers_without_a_peer_are_left_out():
    (row,) = list(layer_table([PAIR]))[2:]
    assert row == "| kws | 0 | CONV_2D | 8x8x4 → 8x8x8 | 1.00 | 2.00 | 0.50 |"
    assert list(means([PAIR])) == ["models: 0.51", "1 layers: 0.50", "CONV_2D, 1 layers: 0.50"]


def test_what_bounds_a_layer_is_said_in_measured_facts():
    (line,) = worst_layers([PAIR])
    for fact in ("40% multiplies", "30% loads", "51.20 products for each multiply", "4.0 instructions an output"):
        assert fact in line


def test_geometric_means():
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1)
    with pytest.raises(ValueError, match="no ratios"):
        geometric_mean([])


@pytest.mark.slow
def test_peers_compute_what_tflm_does(tmp_path):
    for tool in ("bakenn", "tflite", "unicorn", "tflite_micro"):
        require_tool(tool)
    from benchmarks.kernels.bakenn_model import acceptable_model, refusal

    ours = measure_ours(DIGITS, Setting())
    theirs = measure_cmsis_nn(DIGITS, Setting(), "-O2")
    assert ours.equal
    assert theirs.equal
    assert ours.total < theirs.total
    assert {layer.kernel for layer in theirs.layers if layer.op == "CONV_2D"} == {"cmsis_nn_convolve"}
    assert "ReshapeOptions" in str(refusal(DIGITS.read_bytes(), tmp_path / "refused"))
    accepted = tmp_path / "digits.tflite"
    accepted.write_bytes(acceptable_model(DIGITS.read_bytes()))
    assert measure_bakenn(accepted, Setting(), "CMSIS-NN").equal
