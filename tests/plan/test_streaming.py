"""Layers that run row by row: TFLM's bytes whatever the chain, in the memory that they ask for and not a byte less."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.chains import Chain, chains, whole_stream
from support.host_c import run_variants
from support.single_op import variants_of, varied_inputs
from support.tflm import needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph

KERNELS = (None, *(CORES[name] for name in ("cortex-m4", "cortex-m0plus", "cortex-m3", "riscv32imc", "cortex-m55")))


def assert_streams_equal_tflm(chain: Chain, rows_at_once: int, core, optimize="speed") -> None:
    """As one stream, planned, apart from its input, and with the output as far over the input as may be."""
    model = chain.model()
    graph = parse_graph(model, "chain.tflite")
    stream = whole_stream(graph, lower_graph(graph, core, optimize), rows_at_once, core, optimize)
    assume(stream is not None)
    inferences = varied_inputs(graph, chain.seed)
    expected = run_tflm(model, inferences)
    for name, outputs in run_variants(graph, (stream,), variants_of(graph, (stream,)), inferences).items():
        for inference, (mine, theirs) in enumerate(zip(outputs, expected, strict=True)):
            assert mine[0].tobytes() == theirs[0].tobytes(), f"variant {name}, inference {inference}"


@needs_tflm
@pytest.mark.slow
@settings(max_examples=12)
@given(chains(), st.sampled_from([1, 2, 3, 5, 100]), st.sampled_from(KERNELS))
def test_any_chain(chain, rows_at_once, core):
    assert_streams_equal_tflm(chain, rows_at_once, core)
