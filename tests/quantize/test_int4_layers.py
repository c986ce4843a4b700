"""From int8 files to those with int4 weights: which layers, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.single_op import assert_equals_tflm
from support.tflite_model import ModelBuilder, schema
from support.tflm import needs_tflm

from tinyml_sdk.errors import InputError, ToolError
from tinyml_sdk.graph import Graph, parse_graph
from tinyml_sdk.graph.int4_file import with_int4_weights
from tinyml_sdk.quantize.checking import LayerNames
from tinyml_sdk.quantize.int4_checking import check_int4_weights
from tinyml_sdk.quantize.int4_layers import Kernel, _biases, choose_layers, find_kernels
from tinyml_sdk.quantize.job import Job
from tinyml_sdk.quantize.result import LayerWeights

RNG = np.random.default_rng(3)
INPUT, OUTPUT = 0.05, 0.4
CONV = RNG.normal(0, 0.4, (5, 3, 3, 3)).astype(np.float32)
DEPTHWISE = RNG.normal(0, 0.4, (1, 3, 3, 5)).astype(np.float32)
DENSE = RNG.normal(0, 0.4, (5, 45)).astype(np.float32)
BIAS = RNG.normal(0, 1.0, 5).astype(np.float32)


def network(int8: bool, *, share: bool = False, per_tensor: bool = False, bias: bool = True) -> bytes:
    """Convolution, depthwise, dense, as float or as int8; `share`: the last two convolutions are one."""
    builder = ModelBuilder()
    dtype = "int8" if int8 else "float32"
    scale: Any = OUTPUT if int8 else None
    known: dict[int, tuple[int, ...]] = {}

    def weights(values: np.ndarray, axis: int) -> tuple[int, ...]:
        if id(values) in known:
            return known[id(values)]
        if not int8:
            found = [builder.constant(values), *([builder.constant(BIAS)] if bias else [])]
        else:
            axes = tuple(place for place in range(values.ndim) if place != axis)
            steps = np.abs(values).max(axis=None if per_tensor else axes, keepdims=True) / 127
            stored, flat = np.rint(values / steps).astype(np.int8), np.float32(steps.reshape(-1))
            found = [builder.constant(stored, flat.tolist(), [0] * len(flat), axis=axis)]
            products = np.broadcast_to(np.float32(OUTPUT) * flat, 5)
            if bias:
                found.append(builder.constant(np.rint(BIAS / products).astype(np.int32), products.tolist(), [0] * 5))
        if share:
            known[id(values)] = tuple(found)
        return tuple(found)

    def after(shape: Sequence[int]) -> int:
        return builder.tensor(shape, scale, 3 if int8 else 0, dtype=dtype)

    x = builder.input((1, 3, 3, 3), scale, 3 if int8 else 0, dtype=dtype)
    y = after((1, 3, 3, 5))
    builder.op("CONV_2D", [x, *weights(CONV, 0)], [y], stride_h=1, stride_w=1)
    for _ in range(2 if share else 1):
        z = after((1, 3, 3, 5))
        builder.op("DEPTHWISE_CONV_2D", [y, *weights(DEPTHWISE, 3)], [z], stride_h=1, stride_w=1, depth_multiplier=1)
        y = z
    out = builder.output((1, 5), scale, 3 if int8 else 0, dtype=dtype)
    builder.op("FULLY_CONNECTED", [y, *weights(DENSE, 0)], [out])
    return builder.build()


def kernels_of(**options: bool) -> tuple[bytes, Graph, Graph, list[Kernel]]:
    content = network(True, **options)
    quantized, original = parse_graph(content, "q.tflite"), parse_graph(network(False, **options), "f.tflite")
    return content, quantized, original, find_kernels(quantized, original, LayerNames())


def rewritten(chosen: Sequence[str], **options: bool) -> tuple[bytes, list[Kernel]]:
    content, quantized, original, kernels = kernels_of(**options)
    four = [kernel for kernel in kernels if kernel.op_name in chosen]
    ops = {op.index: op.name for kernel in four for op, _ in kernel.uses}
    weights = {kernel.tensor.index: kernel.int4 for kernel in four}
    return with_int4_weights(content, weights, ops, dict(_biases(four, quantized, original)), schema), four


EVERYTHING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("op", EVERYTHING)
def test_each_operator(op: str, per_tensor: bool) -> None:
    content, (kernel,) = rewritten([op], per_tensor=per_tensor)
    graph = parse_graph(content)
    for found in graph.ops:
        weights = graph.tensors[found.inputs[1]]
        assert weights.packed == (found.name == op)
        assert weights.quantization is not None
        if weights.packed:
            assert len(weights.quantization.scale) == (1 if per_tensor or op == "FULLY_CONNECTED" else 5)
            np.testing.assert_array_equal(weights.data, kernel.int4.values)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"share": True}, {"per_tensor": True, "bias": False}])
def test_all_together_equal_tflm(options: dict[str, bool]) -> None:
    """`share`: two uses of a layer whose inputs have one scale, and one bias, which is copied."""
    content, kernels = rewritten(EVERYTHING, **options)
    assert [len(kernel.uses) for kernel in kernels] == ([1, 2, 1] if "share" in options else [1, 1, 1])
    assert len(content) < len(network(True, **options))
    assert_equals_tflm(content)


def test_biases_and_scales_and_versions() -> None:
    content, kernels = rewritten(["CONV_2D", "FULLY_CONNECTED"])
    graph = parse_graph(content)
    assert [op.version for op in graph.ops] == [7, 1, 10]
    for kernel in kernels:
        op = graph.ops[kernel.uses[0][0].index]
        bias, weights = graph.tensors[op.inputs[2]], graph.tensors[op.inputs[1]]
        assert bias.quantization is not None
        assert weights.quantization is not None
        products = np.float32(OUTPUT) * np.float32(weights.quantization.scale)
        np.testing.assert_array_equal(np.float32(bias.quantization.scale), products)
        np.testing.assert_array_equal(bias.data, np.rint(BIAS / products.astype(np.float64)))
    untouched = graph.tensors[graph.ops[1].inputs[1]]
    np.testing.assert_array_equal(untouched.data, parse_graph(network(True)).tensors[untouched.index].data)


def test_buffers_are_aligned_and_none_is_left_over() -> None:
    content, _ = rewritten(["CONV_2D"])
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if not isinstance(data, int):
            start = (
                data.__array_interface__["data"][0] - np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            )
            assert start % 16 == 0
    assert model.BuffersLength() == 1 + 6
    assert model.OperatorCodesLength() == 3


def test_weights_that_are_those_of_no_float_layer() -> None:
    quantized = parse_graph(network(True), "q.tflite")
    with pytest.raises(ToolError, match=r"q\.tflite: op 0 \(CONV_2D\): the converter left no trace"):
        find_kernels(quantized, parse_graph(network(False).replace(CONV.tobytes(), (CONV + 1).tobytes())), LayerNames())


def test_the_check_compares_the_file_with_the_choice() -> None:
    content, _ = rewritten(["CONV_2D"])

    def check(*counts: int) -> None:
        check_int4_weights(
            parse_graph(content, "q.tflite"), [LayerWeights("", "", 4, count, None, "") for count in counts]
        )

    check(CONV.size)
    with pytest.raises(ToolError, match="1 layers of the file have int4 weights, where 2 were chosen"):
        check(CONV.size, DENSE.size)


# -- the choice ---------------------------------------------------------------------------------------------------


def chosen(trained: frozenset[str] | None = None, **options: Any) -> list[int]:
    kernels = kernels_of()[-1]
    names = ["stem", "deep", "top"]
    renamed = [
        Kernel(kernel.tensor, kernel.uses, name, kernel.values, kernel.int4)
        for kernel, name in zip(kernels, names, strict=True)
    ]
    noise = dict(zip((kernel.tensor.index for kernel in kernels), (20.0, 14.0, 17.0), strict=True))
    job = Job("", "m.keras", weights="int4", **options)
    return [layer.bits for layer in choose_layers(renamed, {} if trained else noise, job, trained)]


def test_which_layers() -> None:
    assert chosen() == [4, 4, 4]
    assert chosen(keep_int8=("first", "last")) == [8, 4, 8]
    assert chosen(keep_int8=("deep",), min_snr=17.5) == [4, 8, 8]
    assert chosen(frozenset({"stem", "top"})) == [4, 8, 4]


def test_choices_that_cannot_be() -> None:
    with pytest.raises(InputError, match=r"m\.keras: there is no layer 'tip'") as caught:
        chosen(keep_int8=("tip",))
    assert "there are stem, deep, top" in caught.value.hint
    with pytest.raises(InputError, match=r"no layer is left for int4 weights: stem \(under 30 dB in int4\)"):
        chosen(min_snr=30.0)
    with pytest.raises(InputError, match="layer 'stem': was trained for int4 weights"):
        chosen(frozenset({"stem"}), keep_int8=("first",))
    with pytest.raises(InputError, match="has no layer whose weights could be int4"):
        choose_layers([], {}, Job("", "m.keras", weights="int4"), None)
