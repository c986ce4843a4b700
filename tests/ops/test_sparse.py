"""Kernels over lists of weights: equal to TFLM in every form, and taken where they are cheaper or smaller."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.filter_op import Numbers, numbers
from support.overlap import breaks_one_byte_closer
from support.single_op import assert_equals_tflm, lower
from support.sparse import CODES_ROW, DSP, PORTABLE, ROW, add_layer, forced, form_of, sparse_weights
from support.tflite_model import ModelBuilder
from support.tflm import needs_tflm
from test_conv_2d import Convolution, pairs

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.errors import ModelError
from tinyml_sdk.ops import Layer
from tinyml_sdk.ops.sparse.lists import FORMS, Form

M4, M0 = CORES["cortex-m4"], CORES["cortex-m0"]
CLAMPED = Numbers(factor=0.005, output_zero_point=-128, activation="RELU")
SIGNED = Numbers(factor=0.005)
GENERAL = Numbers(factor=0.005, activation="RELU")


def model(
    size: tuple[int, int] = (5, 5),
    depth: int = 8,
    channels: int = 8,
    filter_: int = 3,
    n: Numbers = CLAMPED,
    **weights: object,
) -> bytes:
    """A convolution whose weights are mostly zero, of 16 values where a form takes codes."""
    builder = ModelBuilder()
    x = builder.input((1, *size, depth), n.input_scale, n.input_zero_point)
    w = sparse_weights(n.rng, (channels, filter_, filter_, depth), **weights)  # type: ignore[arg-type]
    builder.mark_output(add_layer(builder, x, (1, *size, channels), w, n))
    return builder.build()


def row(depth: int = 40, units: int = 10, n: Numbers = SIGNED, **weights: object) -> bytes:
    builder = ModelBuilder()
    x = builder.input((1, depth), n.input_scale, n.input_zero_point)
    w = sparse_weights(n.rng, (units, depth), **weights)  # type: ignore[arg-type]
    builder.mark_output(add_layer(builder, x, (1, units), w, n))
    return builder.build()


def lowered(content: bytes, core: object = M4, optimize: str = "speed") -> Layer:
    (layer,) = lower(content, core, optimize)  # type: ignore[arg-type]
    return layer


# -- right --------------------------------------------------------------------------------------------------------


def chain(pixels: int) -> bytes:
    """Layers whose sums become outputs in each way, over an image of which `pixels` are left in the last row."""
    builder = ModelBuilder()
    rng, size = np.random.default_rng(0), (3, pixels)
    x = builder.input((1, *size, 8), CLAMPED.input_scale, CLAMPED.input_zero_point)
    for n, depth, channels, filter_ in ((CLAMPED, 8, 9, 3), (SIGNED, 9, 10, 1), (GENERAL, 10, 7, 3)):
        x = add_layer(
            builder, x, (1, *size, channels), sparse_weights(rng, (channels, filter_, filter_, depth), values=16), n
        )
    builder.mark_output(x)
    return builder.build()


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_an_output(form: Form) -> None:
    """Padding at every edge, 27 pixels with tiles of 8, 15 with tiles of 4: last ones of 3 pixels."""
    for tile, pixels in ((8, 9), (4, 5)):
        with forced(DSP, PORTABLE, forms=(form, "gaps"), tile=tile):
            layers = lower(chain(pixels), M4)
            assert (form_of(layers[0]), {layer.kernel for layer in layers}) == (form, {DSP})
            assert_equals_tflm(chain(pixels))


@needs_tflm
@pytest.mark.slow
def test_a_row() -> None:
    for form in FORMS:
        with forced(ROW, forms=(form,)):
            content = row(values=16)
            assert lowered(content).kernel == ROW
            assert_equals_tflm(content)


@needs_tflm
@pytest.mark.parametrize(("depth", "units", "stretched"), [(40, 9, False), (26, 4, True)])
def test_a_row_of_codes(depth: int, units: int, stretched: bool) -> None:
    """One codebook for all, with which channels go in pairs, and one for each."""
    builder = ModelBuilder()
    weights = sparse_weights(SIGNED.rng, (units, depth), zeros=0, values=16)
    if stretched:
        weights = weights // 16 * np.arange(1, units + 1, dtype=np.int8)[:, None]
    x = builder.input((1, depth), SIGNED.input_scale, SIGNED.input_zero_point)
    builder.mark_output(add_layer(builder, x, (1, units), weights, SIGNED))
    with forced(CODES_ROW, forms=("codes",)):
        assert lowered(builder.build()).kernel == CODES_ROW
        assert_equals_tflm(builder.build())


@needs_tflm
@pytest.mark.parametrize("pixels", [1, 6, 12])
def test_tiles_that_are_not_whole(pixels: int) -> None:
    with forced(DSP, PORTABLE, forms=("gaps",)):
        assert_equals_tflm(model(size=(1, pixels), filter_=1))


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        model(zeros=1.0),  # nothing left
        model(channels=1, zeros=0.97, depth=33),  # gaps of more than 15
        model(n=Numbers(factor=1.7)),
        model(n=Numbers(input_zero_point=127, output_zero_point=-128)),
    ],
)
def test_edges(content: bytes) -> None:
    with forced(DSP, PORTABLE, forms=("gaps",)):
        assert_equals_tflm(content)


@needs_tflm
@pytest.mark.slow
@settings(max_examples=25)
@given(
    size=pairs(1, 6),
    depth=st.integers(1, 9),
    channels=st.integers(1, 9),
    filter_=st.integers(1, 3),
    n=numbers(),
    zeros=st.sampled_from([0.0, 0.5, 0.9]),
    pattern=st.sampled_from(["", "1x4", "2:4", "1:4"]),
    form=st.sampled_from(FORMS),
    tile=st.sampled_from([4, 8]),
)
def test_anything(
    size: tuple[int, int],
    depth: int,
    channels: int,
    filter_: int,
    n: Numbers,
    zeros: float,
    pattern: str,
    form: Form,
    tile: int,
) -> None:
    content = model(size, depth, channels, filter_, n, zeros=zeros, pattern=pattern, values=16)
    with forced(DSP, PORTABLE, ROW, forms=(form, "gaps"), tile=tile):
        try:
            lower(content)
        except ModelError as error:
            assume("fused_activation_function" not in str(error))  # no value is left between the clamps
            raise
        assert_equals_tflm(content, seed=n.seed)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(
    "convolution", [Convolution(size=(5, 6), depth=4, channels=8), Convolution(size=(6, 5), depth=8, channels=4)]
)
def test_the_lead_is_what_the_kernels_need(convolution: Convolution) -> None:
    with forced(DSP, PORTABLE, forms=("gaps",)):
        assert breaks_one_byte_closer(convolution.model(), core=M4)
        assert breaks_one_byte_closer(convolution.model(), core=M0)


@needs_tflm
@pytest.mark.slow
@pytest.mark.parametrize(("depth", "fits"), [(240, True), (270, False)])
def test_sums_beyond_their_half(depth: int, fits: bool) -> None:
    n = Numbers(bias=False)
    builder = ModelBuilder()
    x = builder.input((1, 2, 2, depth), n.input_scale, n.input_zero_point)
    builder.mark_output(add_layer(builder, x, (1, 2, 2, 4), np.full((4, 1, 1, depth), 127, np.int8), n))
    content = builder.build()
    with forced(DSP, forms=("gaps",)):
        assert (lowered(content).kernel == DSP) == fits
        assert_equals_tflm(content)


# -- chosen -------------------------------------------------------------------------------------------------------


def taken(content: bytes, optimize: str = "speed") -> str:
    layer = lowered(content, M4, optimize)
    return form_of(layer) if "sparse" in layer.kernel else "dense"


def test_the_more_zeros_the_fewer_instructions() -> None:
    costs = [
        next(choice.cost for choice in lowered(model((16, 16), 16, 16, zeros=zeros)).choices if choice.kernel == DSP)
        for zeros in (0.0, 0.3, 0.5, 0.7, 0.9)
    ]
    assert all(more > fewer for more, fewer in pairwise(costs) if more is not None and fewer is not None)


@pytest.mark.parametrize(
    ("weights", "form"),
    [
        ({"zeros": 0.2}, "dense"),
        ({"zeros": 0.5}, "dense"),  # a few instructions less, but no cycles
        ({"zeros": 0.8}, "gaps"),
        ({"pattern": "1:4"}, "gaps"),
        ({"pattern": "1x4", "zeros": 0.6}, "blocks"),
        ({"values": 16, "zeros": 0.0}, "dense"),
    ],
)
def test_for_speed(weights: dict[str, object], form: str) -> None:
    assert taken(model((16, 16), 16, 16, **weights)) == form


@pytest.mark.parametrize(
    ("weights", "form"),
    [
        ({"zeros": 0.0}, "dense"),
        ({"values": 16, "zeros": 0.0}, "codes"),
        ({"values": 16, "zeros": 0.8}, "coded_gaps"),
        ({"zeros": 0.8}, "gaps"),
    ],
)
def test_for_size(weights: dict[str, object], form: str) -> None:
    assert taken(model((16, 16), 32, 32, **weights), "size") == form


def test_code_must_be_worth_it() -> None:
    """Half of a small layer's weights are fewer bytes than the kernel."""
    small = lowered(model((16, 16), 8, 8, values=16, zeros=0.0), M4, "size")
    assert "sparse" not in small.kernel
    reasons = [choice.reason for choice in small.choices if choice.kernel == DSP]
    assert reasons == ["its code would take more flash than its encoding saves"]


def test_the_reason_says_what_is_zero() -> None:
    (choice,) = (choice for choice in lowered(model((16, 16), 16, 16)).choices if choice.taken)
    assert choice.reason == "the cheapest: 80 % of its weights are zero"
    (choice,) = (c for c in lowered(model((16, 16), 16, 16, pattern="1x4", zeros=0.6)).choices if c.taken)
    assert choice.reason.endswith("% of its 1x4 blocks are zero")


def test_scratch_has_a_limit() -> None:
    """A tile would take many times what this layer reads and writes."""
    (choice,) = (c for c in lowered(model((2, 2), 64, 4, zeros=0.9)).choices if c.kernel == DSP)
    assert choice.reason == "it takes 5,376 bytes of scratch, more than any layer reads and writes"


def test_multiply_accumulates_are_those_executed() -> None:
    content = model((16, 16), 16, 16)
    assert 0.15 * 256 * 16 * 144 < lowered(content).macs < 0.25 * 256 * 16 * 144
