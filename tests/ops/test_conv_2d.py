"""CONV_2D against TFLM."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.single_op import assert_equals_tflm, lower
from support.strategies import ACTIVATIONS
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.errors import ModelError


@dataclass(frozen=True)
class Convolution:
    """Sizes are (height, width)."""

    size: tuple[int, int] = (7, 6)
    depth: int = 3  # input channels of a group
    channels: int = 5  # output channels of a group
    filter: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    groups: int = 1
    batches: int = 1
    numbers: Numbers = field(default_factory=Numbers)

    def output_size(self, axis: int) -> int:
        size = self.size[axis]
        if self.padding == "VALID":
            size -= (self.filter[axis] - 1) * self.dilation[axis]
        return -(-size // self.stride[axis])

    def model(self, **options: int) -> bytes:
        builder = ModelBuilder()
        output = (self.output_size(0), self.output_size(1))
        channels = self.channels * self.groups
        n = self.numbers
        x = builder.input((self.batches, *self.size, self.depth * self.groups), n.input_scale, n.input_zero_point)
        weights = n.add_filter(builder, (channels, *self.filter, self.depth))
        bias = n.add_bias(builder, channels)
        y = builder.output((self.batches, *output, channels), n.output_scale, n.output_zero_point)
        builder.op(
            "CONV_2D",
            [x, weights, *bias],
            [y],
            padding=self.padding,
            stride_h=self.stride[0],
            stride_w=self.stride[1],
            dilation_h_factor=self.dilation[0],
            dilation_w_factor=self.dilation[1],
            fused_activation_function=n.activation,
            **options,
        )
        return builder.build()


BASE = Convolution()
POINTWISE = replace(BASE, filter=(1, 1))


@needs_tflm
@pytest.mark.parametrize(
    "convolution",
    [
        BASE,
        replace(BASE, padding="VALID"),
        replace(BASE, stride=(2, 2)),
        replace(BASE, stride=(3, 1), padding="VALID"),
        replace(BASE, dilation=(2, 2)),
        replace(BASE, dilation=(3, 2), padding="VALID"),
        replace(BASE, dilation=(1, 4)),
        replace(BASE, filter=(2, 4), stride=(2, 1)),
        replace(BASE, filter=(7, 6), padding="VALID"),
        replace(BASE, filter=(9, 9)),  # reaches over the input on all sides
        replace(BASE, size=(1, 12), filter=(1, 5)),
        replace(BASE, size=(1, 1)),
        replace(BASE, groups=2),
        replace(BASE, groups=3, depth=1, channels=2, dilation=(1, 2)),
        replace(BASE, batches=3),
        replace(BASE, batches=2, stride=(2, 2), groups=2),
        *(replace(BASE, depth=depth) for depth in (1, 2, 4, 7, 8)),
        *(replace(BASE, channels=channels) for channels in (1, 2, 4, 8, 9)),
        POINTWISE,
        replace(POINTWISE, depth=16, channels=8),
        replace(POINTWISE, depth=5, channels=1),
        replace(POINTWISE, batches=2, depth=2, channels=7),
        replace(POINTWISE, stride=(2, 2)),
        replace(POINTWISE, groups=2),
    ],
)
def test_geometry(convolution: Convolution) -> None:
    assert_equals_tflm(convolution.model())


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("convolution", [replace(BASE, depth=4, channels=6), replace(POINTWISE, depth=9)])
@pytest.mark.parametrize(
    "numbers",
    [
        Numbers(per_channel=False),
        Numbers(bias=False),
        Numbers(input_zero_point=-128, output_zero_point=-128),
        Numbers(input_zero_point=127, output_zero_point=127),
        Numbers(factor=0.6),
        Numbers(factor=1.0, per_channel=False),  # a shift to the left
        Numbers(factor=3.7),  # one for some channels
        Numbers(factor=1e-7),
        Numbers(factor=1e-11),  # flushed to zero
        *(Numbers(activation=activation) for activation in ACTIVATIONS),
        *(Numbers(activation=activation, factor=0.002, output_zero_point=-128) for activation in ACTIVATIONS),
    ],
)
def test_numbers(convolution: Convolution, numbers: Numbers) -> None:
    assert_equals_tflm(replace(convolution, numbers=numbers).model())


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=40)
@given(
    convolution=st.builds(
        Convolution,
        size=pairs(1, 9),
        depth=st.integers(1, 9),
        channels=st.integers(1, 9),
        filter=pairs(1, 4),
        stride=pairs(1, 3),
        dilation=pairs(1, 3),
        padding=st.sampled_from(["SAME", "VALID"]),
        groups=st.sampled_from([1, 1, 2, 3]),
        batches=st.integers(1, 2),
        numbers=numbers(),
    )
)
def test_anything(convolution: Convolution) -> None:
    assume(min(convolution.output_size(0), convolution.output_size(1)) >= 1)
    model = convolution.model()
    try:
        lower(model)
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(model, seed=convolution.numbers.seed)


def damaged(**changes: object) -> bytes:
    """A 3x3 convolution of which one thing is wrong."""
    parts: dict[str, object] = {
        "input": (1, 4, 4, 3),
        "filter": (5, 3, 3, 3),
        "output": (1, 4, 4, 5),
        "bias": (5,),
        "filter_scale": (0.01, 0.02, 0.03, 0.04, 0.05),
        "filter_zero_point": 0,
        "axis": 0,
        "weight": 1,
        "version": 1,
        "options": {},
    } | changes
    builder = ModelBuilder()
    x = builder.input(parts["input"], 0.1)  # type: ignore[arg-type]
    weights = np.full(parts["filter"], parts["weight"], np.int8)  # type: ignore[call-overload]
    w = builder.constant(weights, parts["filter_scale"], parts["filter_zero_point"], axis=parts["axis"])  # type: ignore[arg-type]
    b = builder.constant(np.zeros(parts["bias"], np.int32), 0.001)  # type: ignore[call-overload]
    y = builder.output(parts["output"], 0.1)  # type: ignore[arg-type]
    options = {"stride_h": 1, "stride_w": 1} | parts["options"]  # type: ignore[operator]
    builder.op("CONV_2D", [x, w, b], [y], version=parts["version"], **options)
    return builder.build()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 9}, r"op\.tflite: op 0 \(CONV_2D\): version: is 9"),
        ({"output": (1, 4, 3, 5)}, "output 0: shape: is .* computes"),
        ({"input": (4, 4, 3)}, "input 0: has shape .* not 4 dimensions"),
        ({"input": (1, 4, 4, 4)}, "input 1: shape: .* groups"),
        ({"bias": (4,)}, "input 2: shape"),
        ({"filter_zero_point": 3}, "input 1: quantization: .*symmetric"),
        ({"filter_scale": (0.1, 0.2, 0.3), "axis": 1}, "input 1: quantization: axis is 1"),
        ({"options": {"stride_h": 0}}, "stride_h: is 0"),
        ({"options": {"dilation_w_factor": -1}}, "dilation_w_factor: is -1"),
        ({"options": {"fused_activation_function": "SIGN_BIT"}}, "fused_activation_function: SIGN_BIT"),
        ({"filter": (5, 5, 3, 3), "options": {"padding": "VALID"}}, "height: the filter reaches over 5"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    lower(damaged())
    with pytest.raises(ModelError, match=message):
        lower(damaged(**changes))


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    lower(damaged(input=(1, 4, 4, 7000), filter=(5, 3, 3, 7000), weight=127))
    with pytest.raises(ModelError, match="accumulator of channel 0 can overflow"):
        lower(damaged(input=(1, 4, 4, 7500), filter=(5, 3, 3, 7500), weight=127))
