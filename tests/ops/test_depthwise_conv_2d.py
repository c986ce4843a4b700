"""DEPTHWISE_CONV_2D against TFLM."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower, run_generated, varied_inputs
from support.strategies import ACTIVATIONS, quantizations, scales, seeds
from support.tflite_model import ModelBuilder
from support.tflm import TflmRefusalError, needs_tflm, run_tflm

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.errors import ModelError
from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import depthwise_conv_2d
from tinyml_sdk.ops.selection import Refusal

DSP = CORES["cortex-m4"]


def depthwise_model(
    shape: tuple[int, int, int, int] = (1, 5, 6, 3),
    *,
    filter_size: tuple[int, int] = (3, 3),
    multiplier: int = 1,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    input_quantization: tuple[float, int] = (0.05, -7),
    output_quantization: tuple[float, int] = (0.1, 5),
    filter_scale: float | list[float] = 0.01,
    bias: str | None = "constant",
    seed: int = 0,
    **changes: Any,
) -> bytes:
    """One op with random weights. `bias` is constant, absent (index -1), or None for no third input at all."""
    rng = np.random.default_rng(seed)
    batches, height, width, depth = shape
    channels = depth * multiplier
    sizes = [
        -(-size // step) if padding == "SAME" else max(1, -(-(size - (taps - 1) * gap) // step))
        for size, taps, step, gap in zip((height, width), filter_size, stride, dilation, strict=True)
    ]
    builder = ModelBuilder()
    x = builder.input(shape, *input_quantization)
    weights = rng.integers(-127, 128, changes.pop("filter_shape", (1, *filter_size, channels)), np.int8)
    inputs = [x, builder.constant(weights, filter_scale, changes.pop("filter_zero_point", 0), axis=3)]
    if bias == "constant":
        values = rng.integers(-20_000, 20_000, channels).astype(np.int32) + changes.pop("bias_offset", 0)
        inputs.append(builder.constant(values.astype(np.int32)))
    elif bias == "absent":
        inputs.append(-1)
    y = builder.output(changes.pop("output_shape", (batches, *sizes, channels)), *output_quantization)
    options = {
        "padding": padding,
        "stride_h": stride[0],
        "stride_w": stride[1],
        "dilation_h_factor": dilation[0],
        "dilation_w_factor": dilation[1],
        "depth_multiplier": multiplier,
        "fused_activation_function": activation,
    }
    builder.op("DEPTHWISE_CONV_2D", inputs, [y], **{**options, **changes})
    return builder.build()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    taps = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    least = [(taps - 1) * gap + 1 if padding == "VALID" else 1 for taps, gap in zip(taps, dilation, strict=True)]
    height, width = (draw(st.integers(size, size + 7)) for size in least)
    depth, multiplier = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 1, 2, 3, 4, 8]))
    channels = depth * multiplier
    per_channel = draw(st.booleans())
    return {
        "shape": (draw(st.integers(1, 2)), height, width, depth),
        "filter_size": taps,
        "multiplier": multiplier,
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilation": dilation,
        "padding": padding,
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "input_quantization": draw(quantizations()),
        "output_quantization": draw(quantizations()),
        "filter_scale": draw(
            st.lists(scales(-14, -4), min_size=channels, max_size=channels) if per_channel else scales(-14, -4)
        ),
        "bias": draw(st.sampled_from(["constant", None])),
        "seed": draw(seeds()),
    }


@needs_tflm
@pytest.mark.slow
@settings(max_examples=30)
@given(case=cases())
def test_anything(case: dict[str, Any]) -> None:
    assert_equals_tflm(depthwise_model(**case), seed=case["seed"])


@needs_tflm
@pytest.mark.slow
@settings(max_examples=12)
@given(case=cases(), seed=seeds())
def test_any_filter_for_the_dsp_extension(case: dict[str, Any], seed: int) -> None:
    """With no other kernel to choose, by its twin in C."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise_conv_2d, "_PORTABLE_COST", 1e9)
        for other in ("dsp_depthwise", "dsp_depthwise_lines", "dsp_convolution"):
            patch.setattr(depthwise_conv_2d, other, lambda *_, **__: Refusal("other", "for this test"))
        model = depthwise_model(**case)
        assert lower(model, CORES["cortex-m4"])[0].kernel.startswith("tinyml_depthwise_conv_2d_dsp")
        assert_equals_tflm(model, seed=seed)


@st.composite
def line_cases(draw: st.DrawFn) -> dict[str, Any]:
    """What the kernel that goes through an image line by line is made for; sums of all three forms."""
    case = draw(cases())
    batches, height, width, _ = case["shape"]
    taps = draw(st.tuples(st.integers(1, 6), st.integers(1, 14)))
    dilation = tuple(gap if draw(st.booleans()) else 1 for gap in case["dilation"])
    stride = (case["stride"][0], min(2, case["stride"][1]))
    depth, relu, factor = draw(st.integers(4, 9)), draw(st.booleans()), draw(st.sampled_from([0.3, 0.01, 1e-4]))
    least = [
        (each - 1) * gap + 1 if case["padding"] == "VALID" else 1 for each, gap in zip(taps, dilation, strict=True)
    ]
    return {
        **case,
        "shape": (batches, max(least[0], height), max(least[1], width + draw(st.integers(0, 9))), depth),
        "multiplier": 1,
        "filter_size": taps,
        "dilation": dilation,
        "stride": tuple(1 if gap > 1 else step for step, gap in zip(stride, dilation, strict=True)),
        "activation": "RELU" if relu else case["activation"],
        "input_quantization": (1.0, case["input_quantization"][1]),
        "output_quantization": (1.0, -128 if relu else case["output_quantization"][1]),
        "filter_scale": [factor * 2.0**-exponent for exponent in range(depth)] if draw(st.booleans()) else factor,
    }


@needs_tflm
@pytest.mark.slow
@settings(max_examples=6)
@given(case=line_cases(), seed=seeds())
def test_line_by_line_for_the_dsp_extension(case: dict[str, Any], seed: int) -> None:
    """With no other kernel to choose, by its twin in C."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise_conv_2d, "_PORTABLE_COST", 1e9)
        for other in ("dsp_depthwise", "dsp_depthwise_taps", "dsp_convolution"):
            patch.setattr(depthwise_conv_2d, other, lambda *_, **__: Refusal("other", "for this test"))
        model = depthwise_model(**case)
        assume(lower(model, DSP)[0].kernel == "tinyml_dsp_depthwise_lines")
        assert_equals_tflm(model, seed=seed, cores=[DSP])


@needs_tflm
@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 25, 5, 64), "activation": "RELU"},  # keyword spotting
        {"shape": (1, 49, 40, 1), "filter_size": (10, 8), "multiplier": 8, "stride": (2, 2)},  # micro_speech
        {"shape": (1, 1, 1, 5)},  # all taps but one in the padding
        {"shape": (1, 1, 2, 4), "filter_size": (2, 2), "dilation": (2, 3)},  # no tap inside
        {"shape": (2, 9, 9, 4), "filter_size": (1, 1)},
        {"shape": (1, 8, 8, 8), "filter_size": (8, 8), "padding": "VALID"},
        {"filter_scale": 1e-12},  # the multiplier is flushed to zero
        {"shape": (1, 5, 6, 4), "filter_scale": [3.0, 1.0, 1e-4, 1.0]},  # channels that are scaled up beside others
        {"bias_offset": 900_000_000, "filter_scale": 1e-8},
    ],
)
def test_corners(case: dict[str, Any]) -> None:
    assert_equals_tflm(depthwise_model(**case))


@needs_tflm
@pytest.mark.slow
def test_a_bias_left_out_is_zero_where_tflm_dies_of_it() -> None:
    """The converter writes the index -1 for a zero bias; TFLM's preparation follows a null pointer there."""
    absent = depthwise_model(bias="absent")
    graph = parse_graph(absent, "op.tflite")
    inferences = varied_inputs(graph)
    with pytest.raises(TflmRefusalError):
        run_tflm(absent, inferences)
    expected = run_tflm(depthwise_model(bias=None), inferences)
    for outputs in run_generated(graph, inferences).values():
        assert [mine[0].tolist() for mine in outputs] == [theirs[0].tolist() for theirs in expected]


@pytest.fixture(scope="module", autouse=True)
def portable_kernel_looks_dear() -> Iterator[None]:
    """So that the cases here can be small and are still given to the kernels for the core, where it has any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise_conv_2d, "_PORTABLE_COST", 1e6)
        yield


@st.composite
def dsp_cases(draw: st.DrawFn) -> dict[str, Any]:
    """What the kernels for the DSP extension are made for, a little beyond it, and both forms of their outputs."""
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    least = 1 if padding == "SAME" else 3
    stride = draw(st.sampled_from([1, 1, 2]))
    depth = draw(st.integers(3, 13))
    relu = draw(st.booleans())
    factor = draw(st.sampled_from([0.3, 0.01, 1e-4]))
    return {
        "shape": (draw(st.integers(1, 2)), draw(st.integers(least, 9)), draw(st.integers(least, 9)), depth),
        "stride": (stride, stride),
        "padding": padding,
        "activation": "RELU" if relu else draw(st.sampled_from(ACTIVATIONS)),
        "input_quantization": (1.0, draw(quantizations())[1]),
        "output_quantization": (1.0, -128 if relu else draw(quantizations())[1]),
        "filter_scale": [factor * 2.0**-exponent for exponent in range(depth)] if draw(st.booleans()) else factor,
        "bias": draw(st.sampled_from(["constant", None])),
        "seed": draw(seeds()),
    }


@needs_tflm
@pytest.mark.slow
@settings(max_examples=30)
@given(case=dsp_cases())
def test_anything_with_dsp(case: dict[str, Any]) -> None:
    assert_equals_tflm(depthwise_model(**case), seed=case["seed"])


RELU = {"output_quantization": (0.1, -128), "activation": "RELU"}
"""As trained networks have it."""


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "case"),
    [
        ("stride1_relu", {"shape": (1, 25, 5, 64), **RELU}),
        ("stride2_relu", {"shape": (1, 8, 9, 8), "stride": (2, 2), **RELU}),
        ("stride1_signed", {"shape": (2, 4, 5, 5)}),
        ("stride2_signed", {"shape": (1, 9, 9, 4), "stride": (2, 2)}),
        ("stride1_clamp", {"shape": (1, 7, 6, 4), "activation": "RELU"}),
        ("stride2_clamp", {"shape": (2, 7, 6, 7), "stride": (2, 2), "activation": "RELU6"}),
        ("stride2_relu", {"shape": (1, 6, 6, 7), "stride": (2, 2), "padding": "VALID", **RELU}),
        ("stride2_relu", {"shape": (1, 30, 2, 4), "stride": (2, 2), **RELU}),  # one column
        ("stride1_relu", {"shape": (1, 1, 8, 10), **RELU}),  # all rows but one in the padding
        ("stride1_relu", {"shape": (1, 3, 12, 12), "padding": "VALID", **RELU}),  # one row
        # Filters that training switched off, wholly and nearly.
        ("stride1_relu", {"shape": (1, 6, 6, 5), "filter_scale": [1e-10, 0.01, 1e-5, 1e-3, 2e-6], **RELU}),
        ("stride1_clamp", {"shape": (1, 6, 6, 4), "filter_scale": 0.5, **RELU}),  # no room for its scale
    ],
)
def test_corners_with_dsp(kernel: str, case: dict[str, Any]) -> None:
    model = depthwise_model(**case)
    assert lower(model, DSP)[0].kernel == f"tinyml_dsp_depthwise_{kernel}"
    assert_equals_tflm(model)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 13, 12, 1), "multiplier": 8, "filter_size": (10, 8), "stride": (2, 2)},
        {"shape": (2, 7, 6, 1), "multiplier": 5, "dilation": (2, 1), **RELU},
        {"shape": (1, 5, 5, 1), "multiplier": 4, "bias": None, "activation": "RELU6"},
    ],
)
def test_a_single_input_channel_makes_it_a_convolution(case: dict[str, Any]) -> None:
    model = depthwise_model(**case)
    assert lower(model, DSP)[0].kernel == "tinyml_conv_2d_dsp"
    assert_equals_tflm(model)


@pytest.mark.parametrize(
    "case",
    [
        {"shape": (1, 5, 6, 3)},  # too few channels
        {"shape": (1, 5, 6, 4), "multiplier": 2},
        {"shape": (1, 5, 6, 4), "filter_size": (3, 5)},
        {"shape": (1, 5, 6, 4), "stride": (1, 2)},
        {"shape": (1, 5, 6, 4), "dilation": (2, 2)},
        {"shape": (1, 5, 6, 4), "filter_scale": [3.0, 1.0, 1e-4, 1.0]},  # scaled up
    ],
)
def test_what_the_3x3_kernels_leave_to_others(case: dict[str, Any]) -> None:
    assert not lower(depthwise_model(**case), DSP)[0].kernel.startswith("tinyml_dsp_depthwise_stride")


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("channels", [4, 7])
def test_dsp_kernels_work_in_place_and_anywhere_above(channels: int, padding: str, stride: int) -> None:
    model = depthwise_model((2, 6, 7, channels), stride=(stride, stride), padding=padding)
    assert lower(model, DSP)[0].lead_of(0) == 0
    assert works_at_distances(model, [0, 1, channels, channels + 1, 4 * channels - 1, 7 * channels], DSP)
    # Four channels go through the image together; only a fifth can be in the way of an output too high.
    assert channels == 4 or breaks_one_byte_closer(model, core=DSP)


def test_what_would_take_more_memory_line_by_line() -> None:
    """Every second column would be gone through by itself, over pixels that the others have yet to read."""
    model = depthwise_model((1, 9, 20, 8), filter_size=(3, 3), dilation=(1, 2), padding="VALID")
    layer = lower(model, DSP)[0]
    refused = next(choice for choice in layer.choices if choice.kernel == "tinyml_dsp_depthwise_lines")
    assert not refused.possible
    assert "could not lie over its input" in refused.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {"shape": (2, 6, 7, 6), "filter_size": (5, 4)},
        {"shape": (1, 9, 8, 6), "filter_size": (3, 3), "dilation": (2, 3)},
        {"shape": (1, 1, 11, 6), "filter_size": (1, 3), "dilation": (1, 2), "padding": "VALID"},
        {"shape": (1, 9, 1, 7), "filter_size": (3, 1), "stride": (2, 1)},
    ],
)
def test_line_by_line_works_in_place_and_anywhere_above(case: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise_conv_2d, "dsp_depthwise_taps", lambda *_: Refusal("other", "for this test"))
        model, channels = depthwise_model(**case), case["shape"][3]
        (layer,) = lower(model, DSP)
        assert (layer.kernel, layer.lead_of(0)) == ("tinyml_dsp_depthwise_lines", 0)
        assert works_at_distances(model, [0, 1, channels, 3 * channels + 2], DSP)
        assert breaks_one_byte_closer(model, core=DSP)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_distance_asked_for_is_needed(padding: str) -> None:
    assert breaks_one_byte_closer(depthwise_model((1, 6, 7, 1), padding=padding))
    assert breaks_one_byte_closer(depthwise_model((1, 6, 7, 5), padding=padding))
    assert breaks_one_byte_closer(depthwise_model((1, 6, 7, 1), multiplier=3, padding=padding))


def test_a_window_of_one_pixel_works_in_place() -> None:
    assert lower(depthwise_model(filter_size=(1, 1)))[0].lead_of(0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 8}, r"op\.tflite: op 0 \(DEPTHWISE_CONV_2D\): version"),
        ({"depth_multiplier": 2}, r"op 0 \(DEPTHWISE_CONV_2D\): depth_multiplier: is 2, but"),
        ({"depth_multiplier": 0}, "depth_multiplier: is 0"),
        ({"filter_shape": (2, 3, 3, 3)}, "input 1: shape"),
        ({"filter_zero_point": 1}, "input 1: quantization: weights must be symmetric"),
        ({"stride_h": 0}, "stride_h"),
        ({"dilation_w_factor": -1}, "dilation_w_factor"),
        ({"output_shape": (1, 5, 6, 6)}, "output 0: shape"),
        (
            {"padding": "VALID", "filter_size": (6, 1), "output_shape": (1, 1, 6, 3)},
            "height: the filter reaches over 6",
        ),
        ({"activation": "TANH"}, "fused_activation_function: TANH"),
        ({"bias_offset": 2_147_460_000}, "input 2: the accumulator .* overflow"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lower(depthwise_model(**changes))
