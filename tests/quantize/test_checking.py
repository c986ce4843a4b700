"""The checks of the result, on graphs made by hand: int8 throughout, names of layers, ranges that became scales."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyml_sdk.errors import ModelError, ToolError
from tinyml_sdk.graph import DType, Graph, Op, Quantization, Tensor, read_graph
from tinyml_sdk.quantize.checking import LayerNames, check_integer_only, check_ranges
from tinyml_sdk.quantize.noise import signal_to_noise
from tinyml_sdk.quantize.quantizer import weight_entropy
from tinyml_sdk.quantize.result import Accuracy, LayerNoise, QuantizationResult, RangeCheck
from tinyml_sdk.report.console import render
from tinyml_sdk.report.quantization import quantization_report

DIGITS = read_graph(Path(__file__).resolve().parents[2] / "examples" / "digits" / "digits.tflite")


def tensor(index: int, name: str, dtype: DType = DType.INT8, *, scale: float = 0.1, data: object = None) -> Tensor:
    values = None if data is None else np.array(data, dtype.numpy)
    return Tensor(index, name, (1, 4), dtype, Quantization((scale,), (0,)), values)


def graph_of(tensors: list[Tensor], *ops: Op) -> Graph:
    return Graph("g", "g.tflite", "", 0, tuple(tensors), ops, (0,), (ops[-1].outputs[0],))


def test_a_converted_model_passes() -> None:
    check_integer_only(DIGITS)


def test_a_float_layer_is_named_and_not_the_casts_around_it() -> None:
    graph = graph_of(
        [
            tensor(0, "x"),
            tensor(1, "tfl.dequantize", DType.FLOAT32),
            tensor(2, "m_1/norm_1/Rsqrt", DType.FLOAT32),
            tensor(3, "y"),
        ],
        Op(0, "DEQUANTIZE", 1, (0,), (1,)),
        Op(1, "RSQRT", 1, (1,), (2,)),
        Op(2, "QUANTIZE", 1, (2,), (3,)),
    )
    with pytest.raises(ModelError, match=r"layer 'norm': stayed float32 \(RSQRT\)"):
        check_integer_only(graph, LayerNames({"m_1/norm_1": "norm"}))
    with pytest.raises(ModelError, match=r"op 1 \(m_1/norm_1/Rsqrt\)"):
        check_integer_only(graph)


def test_computed_int32_is_refused_and_constant_int32_is_not() -> None:
    constant = tensor(1, "axes", DType.INT32, data=[[1, 2, 3, 4]])
    check_integer_only(graph_of([tensor(0, "x"), constant, tensor(2, "y")], Op(0, "MEAN", 1, (0, 1), (2,))))
    with pytest.raises(ModelError, match="int32"):
        check_integer_only(graph_of([tensor(0, "x"), tensor(1, "s", DType.INT32)], Op(0, "SHAPE", 1, (0,), (1,))))


def test_layers_of_fused_tensors() -> None:
    names = LayerNames({"m_1/relu_1": "relu", "m_1/conv_1": "conv", "m_1/conv_1_1": "conv_1", "m_1/in/conv_2": "deep"})
    assert names.find("m_1/relu_1/Relu;m_1/conv_1/convolution;m_1/bn_1/sub1") == "conv"
    assert names.find("m_1/conv_1_1/convolution") == "conv_1"
    assert names.find("m_1/in/conv_2/Conv2D") == "deep"
    assert names.find("m_1/relu_1/Relu") == "relu"
    assert names.find("Identity") == ""
    assert names.label("StatefulPartitionedCall/m/x/Relu;other") == "m/x/Relu"


def two_layers(scale: float, name: str = "ADD") -> Graph:
    tensors = [tensor(0, "x", scale=1 / 255), tensor(1, "a", scale=scale), tensor(2, "b", scale=2 / 255)]
    return graph_of(tensors, Op(0, "CONV_2D", 1, (0,), (1,)), Op(1, name, 1, (1,), (2,)))


OBSERVED = {"x": (0.0, 1.0), "a": (0.5, 3.0), "b": (-1.0, 1.0)}


def test_ranges_that_became_scales() -> None:
    chosen = OBSERVED | {"a": (0.5, 2.0)}  # widened to contain zero
    assert check_ranges(two_layers(2 / 255), OBSERVED, chosen, strict=True) == RangeCheck(clipped=1, exact=3, tied=0)


def test_a_range_that_got_lost_is_an_error() -> None:
    with pytest.raises(ToolError, match=r"g\.tflite: a: the converter made a scale of 0\.1"):
        check_ranges(two_layers(0.1), OBSERVED, OBSERVED, strict=True)
    assert check_ranges(two_layers(0.1), OBSERVED, OBSERVED, strict=False).tied == 1


def test_a_scale_that_is_shared_is_none() -> None:
    assert check_ranges(two_layers(0.1, "MAX_POOL_2D"), OBSERVED, OBSERVED, strict=True) == RangeCheck(2, 0, 1)


def test_signal_to_noise_by_hand() -> None:
    assert signal_to_noise(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(20)
    assert signal_to_noise(np.ones(3), np.ones(3)) == 200
    assert signal_to_noise(np.zeros(3), np.ones(3)) == -200


def test_entropy_by_hand() -> None:
    weights = tensor(1, "w", data=[[0, 0, 1, -1]])
    assert weight_entropy(graph_of([tensor(0, "x"), weights, tensor(2, "y")], Op(0, "ADD", 1, (0, 1), (2,)))) == 1.5
    assert weight_entropy(graph_of([tensor(0, "x"), tensor(1, "y")], Op(0, "RELU", 1, (0,), (1,)))) == 0.0
    assert 5 < weight_entropy(DIGITS) < 8


RESULT = QuantizationResult(
    content=b"bytes",
    source="m.keras",
    sha256="0" * 64,
    granularity="per-tensor",
    method="percentile",
    percentile=99.9,
    calibration_samples=1000,
    parameters=4666,
    macs=35968,
    weight_bytes=5546,
    file_bytes=11048,
    gzip_bytes=6822,
    entropy_bits=7.5,
    ranges=RangeCheck(5, 3, 1),
    accuracy=Accuracy("accuracy", 360, 0.99, 0.98),
    layers=(LayerNoise(0, "CONV_2D", "conv[b]", 40.0, None), LayerNoise(1, "ADD", "add", 10.0, 30.0)),
)


def test_json_has_all_but_the_file() -> None:
    facts = RESULT.to_dict()
    assert "content" not in facts
    assert facts["schema"] == 1
    assert facts["accuracy"] == {"metric": "accuracy", "samples": 360, "float": 0.99, "int8": 0.98}
    assert facts["worst_layers"] == [1, 0]
    assert facts["layers"][1] == {"index": 1, "op": "ADD", "name": "add", "snr_db": 10.0, "drop_db": 30.0}


def test_console_report() -> None:
    text = render(quantization_report(RESULT), io.StringIO())
    assert all(len(line) <= 80 for line in text.splitlines())
    for words in ("percentile 99.9 of 1,000 samples, 3 of 6 clipped", "float 99.00 %, int8 98.00 %", "conv[b]", "10.0"):
        assert words in text
    assert text.index("add") < text.index("conv[b]")
    unmeasured = render(quantization_report(replace(RESULT, layers=(), accuracy=None)), io.StringIO())
    assert "was not run" in unmeasured
