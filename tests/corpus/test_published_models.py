"""Published models, as published: bit exact with TFLM to the last layer, and faster than its reference kernels."""

from __future__ import annotations

from contextlib import ExitStack
from math import ceil

import numpy as np
import pytest
from support.corpus import MLPERF_TINY, TFLM, corpus_model, without_corpus
from support.tools import require_tool

from tinyml_sdk import benchmark, inspect_model
from tinyml_sdk.bench.host_reference import HostReference
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference

pytestmark = [without_corpus, pytest.mark.slow]

# Multiply-accumulates that are executed (vww's file has 7,489,664, half of them for channels that are always the same);
# TFLM's instructions with its reference kernels on a Cortex-M4 (DESIGN.md of the project).
FACTS = {
    "mlperf_tiny/kws": (2_656_768, 43_000_000),
    "mlperf_tiny/ad": (264_192, 1_950_000),
    "mlperf_tiny/ic": (12_501_632, 107_000_000),
    "mlperf_tiny/vww": (3_766_476, 100_000_000),
}


@pytest.mark.parametrize("model", [*MLPERF_TINY, *TFLM])
def test_bit_exact_on_the_builtin_target(model):
    require_tool("unicorn")
    require_tool("tflite_micro")
    result = benchmark(corpus_model(model), board="mps2-an386")
    assert result.check.reference == "tflite-micro"
    assert result.check.inputs >= 8
    assert result.check.bit_exact, result.check
    assert sum(layer.share for layer in result.layers) == pytest.approx(1)
    assert result.flash.total == result.flash.code + result.flash.weights
    assert result.flash.weights > result.flash.total // 20
    assert result.ram.total == result.ram.arena + result.ram.static + result.ram.stack_peak


@pytest.mark.parametrize("model", MLPERF_TINY)
def test_no_slower_than_tflm_reference_kernels(model):
    require_tool("unicorn")
    macs, instructions = FACTS[model]
    result = benchmark(corpus_model(model), board="mps2-an386")
    assert result.model.macs == macs
    assert result.per_inference.max < instructions / 2


@pytest.mark.parametrize("model", [*MLPERF_TINY, *TFLM])
def test_every_layer_equals_tflm(model):
    """Outputs alone prove little where a softmax saturates; so each layer's output, in the planned memory."""
    require_tool("tflite_micro")
    inspection = inspect_model(corpus_model(model))
    # What lies between layers that run row by row is never there as a whole.
    computed = [index for layer in inspection.layers for index in layer.op.outputs]
    with ExitStack() as stack:
        tflm = open_reference(corpus_model(model), inspection, stack)
        ours = stack.enter_context(HostReference(inspection))
        for arrays in check_inputs(inspection.graph.input_tensors, count=4):
            wanted = tflm.intermediates(arrays, computed)
            got = ours.intermediates(arrays, computed)
            for index, a, b in zip(computed, wanted, got, strict=True):
                kept = inspection.graph.tensors[index].channels
                if kept is not None:
                    a = a[..., list(kept)]  # noqa: PLW2901
                np.testing.assert_array_equal(a, b, err_msg=f"tensor {index}")


def test_kws_with_every_toolchain_optimization_and_target():
    require_tool("qemu-system-arm")
    require_tool("arm-none-eabi-gcc")
    for toolchain in ("zig", "gnu_arm"):
        for optimize in ("speed", "size"):
            results = [
                benchmark(
                    corpus_model("mlperf_tiny/kws"),
                    board="mps2-an386",
                    target=target,
                    toolchain=toolchain,
                    optimize=optimize,
                )
                for target in ("builtin", "qemu")
            ]
            assert all(result.check.bit_exact for result in results)
            builtin, qemu = results
            gap = abs(builtin.per_inference.median - qemu.per_inference.median)
            assert gap <= ceil(qemu.counter_resolution), (toolchain, optimize)


def test_arena_stays_below_a_plain_planner():
    """Overlapping outputs: well under the bytes that live at the same time."""
    for model, most in (("kws", 9_800), ("ic", 20_500), ("vww", 28_300), ("ad", 768)):
        plan = inspect_model(corpus_model(f"mlperf_tiny/{model}")).plan
        assert plan.lower_bound <= plan.arena_bytes <= most
        assert plan.arena_bytes <= plan.live_bytes
