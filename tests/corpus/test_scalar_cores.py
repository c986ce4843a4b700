"""What the published models cost on cores without SIMD: instructions per executed multiply-accumulate."""

import pytest
from support.corpus import corpus_model, without_corpus
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import benchmark

pytestmark = [pytest.mark.slow, without_corpus]


@pytest.mark.parametrize(
    ("board", "model", "limit"),
    [("virt-rv32", "kws", 3.5), ("virt-rv32", "ad", 2.9), ("mps2-cm0plus", "vww", 5.7), ("mps2-cm0plus", "ad", 3.9)],
)
def test_instructions_per_multiply_accumulate(board: str, model: str, limit: float) -> None:
    require_tool(TOOLCHAIN_TOOLS["zig"])
    require_tool(TARGET_TOOLS["builtin"])
    result = benchmark(corpus_model(f"mlperf_tiny/{model}"), board=board, runs=1)
    assert result.check.bit_exact
    assert result.per_inference.median / result.model.macs < limit
