"""TRANSPOSE_CONV against TFLM."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.overlap import breaks_one_byte_closer, works_at_distances
from support.single_op import assert_equals_tflm, lower
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm

from tinyml_sdk.boards.cores import CORES, Core
from tinyml_sdk.errors import ModelError
from tinyml_sdk.ops import transpose_conv

DSP = CORES["cortex-m4"]


@dataclass(frozen=True)
class Transposed:
    """Sizes are (height, width). `beyond`: rows and columns that few taps reach, as output_padding has it."""

    size: tuple[int, int] = (4, 3)
    depth: int = 3
    channels: int = 5
    filter: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: str = "SAME"
    beyond: tuple[int, int] = (0, 0)
    batches: int = 1
    numbers: Numbers = field(default_factory=Numbers)

    def output_size(self, axis: int) -> int:
        size, stride = self.size[axis], self.stride[axis]
        if self.padding == "SAME":
            return size * stride - min(self.beyond[axis], stride - 1)
        return (size - 1) * stride + self.filter[axis] + self.beyond[axis]

    def add(self, builder: ModelBuilder, *, told: tuple[int, ...] | None = None, version: int = 3) -> None:
        n = self.numbers
        output = (self.batches, self.output_size(0), self.output_size(1), self.channels)
        shape = builder.constant(np.array(output if told is None else told, np.int32))
        weights = n.add_filter(builder, (self.channels, *self.filter, self.depth))
        x = builder.input((self.batches, *self.size, self.depth), n.input_scale, n.input_zero_point)
        bias = n.add_bias(builder, self.channels)
        y = builder.output(output, n.output_scale, n.output_zero_point)
        builder.op(
            "TRANSPOSE_CONV",
            [shape, weights, x, *bias],
            [y],
            version=version,
            padding=self.padding,
            stride_h=self.stride[0],
            stride_w=self.stride[1],
            fused_activation_function=n.activation,
        )

    def model(self, *, told: tuple[int, ...] | None = None, version: int = 3) -> bytes:
        builder = ModelBuilder()
        self.add(builder, told=told, version=version)
        return builder.build()


@pytest.fixture(scope="module", autouse=True)
def portable_kernel_looks_dear() -> Iterator[None]:
    """So that the cases here can be small and are still given to the kernel for the core, where it has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transpose_conv, "_PORTABLE_COST", 1e6)
        yield


GEOMETRIES = [
    Transposed(),
    Transposed(filter=(2, 2), channels=8),  # each output has one tap
    Transposed(padding="VALID", stride=(1, 1), channels=4),  # a convolution, turned around
    Transposed(stride=(3, 3), filter=(2, 1), padding="VALID", beyond=(1, 2)),  # outputs that nothing reaches
    Transposed(size=(1, 6), filter=(1, 5), stride=(1, 2), batches=2),  # Conv1DTranspose
    Transposed(size=(2, 2), filter=(7, 6), stride=(2, 3), beyond=(1, 2), depth=1, channels=1),  # larger than the image
]


@needs_tflm
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=range(len(GEOMETRIES)))
def test_geometry(geometry: Transposed) -> None:
    assert_equals_tflm(geometry.model())


@pytest.mark.slow
@pytest.mark.parametrize("core", [None, DSP], ids=["portable", "dsp"])
@pytest.mark.parametrize("geometry", GEOMETRIES[:2], ids=range(2))
def test_the_lead_is_what_it_takes(geometry: Transposed, core: Core | None) -> None:
    model = geometry.model()
    layer = lower(model, core)[0]
    assert layer.kernel == ("tinyml_transpose_conv" if core is None else "tinyml_transpose_conv_dsp")
    lead = layer.lead_of(2)
    assert lead is not None
    assert works_at_distances(model, range(lead, lead + 3), core, place=2)
    assert breaks_one_byte_closer(model, place=2, core=core)


def test_outputs_that_nothing_reaches_are_left_to_the_portable_kernel() -> None:
    layer = lower(Transposed(filter=(2, 3), stride=(3, 3)).model(), DSP)[0]
    refused = next(choice for choice in layer.choices if choice.kernel == "tinyml_transpose_conv_dsp")
    assert layer.kernel == "tinyml_transpose_conv"
    assert "no input reaches" in refused.reason


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@needs_tflm
@pytest.mark.slow
@settings(max_examples=2)
@given(
    st.lists(
        st.builds(
            Transposed,
            size=pairs,
            depth=st.integers(1, 9),
            channels=st.integers(1, 9),
            filter=pairs,
            stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
            padding=st.sampled_from(["SAME", "VALID"]),
            beyond=st.tuples(st.integers(0, 2), st.integers(0, 2)),
            batches=st.integers(1, 2),
            numbers=numbers(),
        ),
        min_size=6,
        max_size=6,
    )
)
def test_anything(layers: list[Transposed]) -> None:
    builder = ModelBuilder()
    for layer in layers:
        layer.add(builder)
    try:
        lower(builder.build())
    except ModelError as error:
        assume("fused_activation_function" not in str(error))  # no value is left between the clamps
        raise
    assert_equals_tflm(builder.build())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Transposed().model(version=6), "version: is 6"),
        (Transposed().model(told=(1, 8, 6, 4)), r"input 0: the shape \[1, 8, 6, 4\] differs from the output's"),
        (Transposed(stride=(0, 1), padding="VALID").model(), "stride_h: is 0"),
        (Transposed(size=(1, 20_000)).model(), "width: of 40000 from 20000, filter 3, is over 32,767"),
    ],
)
def test_what_cannot_be_is_refused(model: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=rf"op\.tflite: op 0 \(TRANSPOSE_CONV\): {message}"):
        lower(model)


@pytest.mark.parametrize(
    ("weights", "bias", "output", "message"),
    [
        ((5, 3, 3, 4), 5, (1, 8, 6, 5), "input 1: shape: .* is not for the input's 3 channels"),
        ((5, 3, 3, 3), 4, (1, 8, 6, 5), r"input 3: shape: is \[4\], not \[5\]"),
        ((5, 3, 3, 3), 5, (1, 8, 6, 4), "output 0: shape"),
        ((5, 3, 3), 5, (1, 8, 6, 5), "input 1: has shape .* not 4 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(
    weights: tuple[int, ...], bias: int, output: tuple[int, ...], message: str
) -> None:
    builder = ModelBuilder()
    inputs = [
        builder.constant(np.array(output, np.int32)),
        builder.constant(np.ones(weights, np.int8), 0.1),
        builder.input((1, 4, 3, 3), 0.1),
        builder.constant(np.zeros(bias, np.int32), 0.01),
    ]
    builder.op("TRANSPOSE_CONV", inputs, [builder.output(output, 0.1)], stride_h=2, stride_w=2)
    with pytest.raises(ModelError, match=message):
        lower(builder.build())


def test_a_computed_shape_is_refused() -> None:
    builder = ModelBuilder()
    shape, x = builder.input((4,), dtype="int32"), builder.input((1, 4, 3, 3), 0.1)
    weights = builder.constant(np.ones((5, 3, 3, 3), np.int8), 0.1)
    builder.op("TRANSPOSE_CONV", [shape, weights, x], [builder.output((1, 8, 6, 5), 0.1)], stride_h=2, stride_w=2)
    with pytest.raises(ModelError, match="input 0: must be constant"):
        lower(builder.build())
