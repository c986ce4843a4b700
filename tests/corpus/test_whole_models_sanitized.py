"""Whole models as generated C under AddressSanitizer and UndefinedBehaviorSanitizer, equal to TFLM in every layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import MLPERF_TINY, TFLM, corpus_model, without_corpus
from support.host_c import Variant, run_variants
from support.single_op import assert_equals_tflm, varied_inputs
from support.tflm import run_tflm
from support.tools import require_tool

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import read_graph
from tinyml_sdk.ops import fuse_ops, lower_graph, remove_constant_channels
from tinyml_sdk.plan import StreamedLayer, order_layers, plan_memory, stream_layers

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"

pytestmark = pytest.mark.slow


def test_digits():
    require_tool("tflite_micro")
    assert_equals_tflm(DIGITS.read_bytes())


@without_corpus
@pytest.mark.parametrize("model", [*MLPERF_TINY, *TFLM])
def test_published_model(model):
    require_tool("tflite_micro")
    assert_equals_tflm(corpus_model(model).read_bytes())


@without_corpus
@pytest.mark.parametrize("model", ["mlperf_tiny/ic", "mlperf_tiny/vww"])
def test_published_model_row_by_row(model):
    require_tool("tflite_micro")
    core, path = CORES["cortex-m4"], corpus_model(model)
    graph = remove_constant_channels(fuse_ops(read_graph(path)))
    layers = stream_layers(graph, order_layers(graph, lower_graph(graph, core)), core).layers
    assert any(isinstance(layer, StreamedLayer) for layer in layers)
    inferences = varied_inputs(graph)
    expected = run_tflm(path.read_bytes(), inferences)
    (outputs,) = run_variants(graph, layers, [Variant("planned", plan_memory(graph, layers))], inferences).values()
    for mine, theirs in zip(outputs, expected, strict=True):
        assert mine[0].tobytes() == theirs[0].tobytes()
