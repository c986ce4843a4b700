"""Single layers of any geometry are models that TFLM runs; cliffs are found; pictures are always the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from support.single_op import varied_inputs
from support.tflm import run_tflm
from support.tools import require_tool

from benchmarks.plots import draw
from benchmarks.single_layer import SingleLayer
from benchmarks.sweep import SWEEPS, Cost, cliffs
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph


def weights(layer: SingleLayer) -> np.ndarray:
    graph = parse_graph(layer.build(), "layer.tflite")
    return graph.tensors[graph.ops[0].inputs[1]].data


@pytest.mark.slow
@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_point_is_a_model(sweep):
    require_tool("tflite_micro")
    for line in SWEEPS[sweep].lines:
        for point in line.points:
            graph = parse_graph(point.layer.build(), "layer.tflite")
            (layer,) = lower_graph(graph)
            assert layer.macs == point.layer.macs or point.layer.sparsity


def test_sparsity_is_what_it_says():
    layer = SingleLayer("FULLY_CONNECTED", 64, 64, sparsity=0.75)
    assert np.mean(weights(layer) == 0) == pytest.approx(0.75, abs=0.02)
    halves = weights(SingleLayer("FULLY_CONNECTED", 64, 64, sparsity="2:4")).reshape(-1, 4)
    assert set(np.count_nonzero(halves, axis=1)) == {2}
    blocks = weights(SingleLayer("FULLY_CONNECTED", 64, 64, sparsity="1x4")).reshape(-1, 4)
    assert set(np.count_nonzero(blocks, axis=1)) == {0, 4}
    with pytest.raises(ValueError, match="groups of 4"):
        SingleLayer("FULLY_CONNECTED", 6, 3, sparsity="2:4").build()


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_layers_fill_their_outputs(op):
    """Were most outputs 0 or 127, no kernel would be measured on what it is for."""
    require_tool("tflite_micro")
    model = SingleLayer(op, 3, 6, (6, 6), (3, 3), stride=2).build()
    outputs = run_tflm(model, varied_inputs(parse_graph(model, "layer.tflite")))
    assert len(np.unique(np.concatenate([tensor.ravel() for (tensor,) in outputs]))) > 40


def test_cliffs_are_told():
    costs = {2: Cost(200, 100, "k"), 3: Cost(600, 200, "k"), 4: Cost(400, 400, "k"), 8: Cost(800, 800, "k")}
    (cliff,) = cliffs({"channels": {"convolution": costs}})
    assert (cliff.x, cliff.per_mac) == (3, 3.0)
    assert cliff.reason == "1.50 times the size before it; a larger layer is cheaper"


@pytest.mark.slow
def test_the_same_costs_give_the_same_picture(tmp_path):
    require_tool("matplotlib")
    lines = {"a": {1: 2.0, 8: 1.0}, "b": {1: 9.0, 8: 3.0}}
    pictures = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / "plot.svg", "title", "channels", lines)
        pictures.append((tmp_path / name / "plot.svg").read_bytes())
    assert pictures[0] == pictures[1]
    assert b"instructions per MAC" in pictures[0]
    assert len(pictures[0]) < 40_000
