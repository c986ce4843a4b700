"""Layers of a model as calls of CMSIS-NN, to be planned, generated and measured like our own.

The sources are those in the wheel `bakenn`: CMSIS-NN 4.0.0 without its softmax and elementwise functions. A layer that
they do not have keeps our kernel, and the report leaves it out of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from tinyml_sdk.boards.cores import Core
from tinyml_sdk.graph import Graph, Tensor
from tinyml_sdk.ops import Constant, Input, Layer, OpView, Output, Parameters, ParameterValue, Scratch
from tinyml_sdk.ops.base import Argument
from tinyml_sdk.ops.weights import FilterConstants, filter_channels, filter_constants, product_scales, read_filter
from tinyml_sdk.ops.window import Window, sliding_window

__all__ = ["DEFINES", "GLUE", "INCLUDE_DIRS", "cmsis_nn_layers", "cmsis_nn_sources"]

GLUE = Path(__file__).with_name("cmsis_nn.h")

INCLUDE_DIRS = ("cmsis_nn/Include", "cmsis_core/Include")

DEFINES = ("BAKENN_CMSIS_NN_BUILTIN_MEMORY",)
"""The wheel's switch for `__builtin_memcpy`. Without it every load of four bytes is a call where the C library is
missing, and CMSIS-NN three to five times slower: no fair baseline."""

Fields = Mapping[str, ParameterValue]


def cmsis_nn_sources() -> dict[str, str]:
    """The C files and headers of CMSIS-NN and of the CMSIS core: path relative to the project → text."""
    vendor = Path(str(files("bakenn.backend.cmsis_nn.vendor")))
    found = {
        path.relative_to(vendor).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("cmsis_nn/Source", *INCLUDE_DIRS)
        for path in sorted((vendor / folder).rglob("*.[ch]"))
    }
    # Included for its constants only; a compiler without C library has none.
    return found | {"cmsis_nn/Include/math.h": "/* Nothing of it is used. */\n"}


def cmsis_nn_layers(graph: Graph, ours: Sequence[Layer], core: Core) -> tuple[Layer, ...]:
    """The same ops with CMSIS-NN's kernels, where it has one. None of them may overlap its input in memory."""
    return tuple(_lower(OpView(graph, layer.op, core.features), layer) or layer for layer in ours)


def _lower(view: OpView, ours: Layer) -> Layer | None:
    match view.op.name:
        case "CONV_2D":
            layer = _convolution(view)
        case "DEPTHWISE_CONV_2D":
            layer = _depthwise(view)
        case "FULLY_CONNECTED":
            layer = _fully_connected(view)
        case "AVERAGE_POOL_2D" | "MAX_POOL_2D":
            layer = _pooling(view)
        case _:
            return None
    return layer and replace(layer, macs=ours.macs, header=ours.header)


def _convolution(view: OpView) -> Layer | None:
    input_, output, filter_ = view.activation(0), view.output(), read_filter(view, rank=4, channel_axis=0)
    channels, height, width, depth = filter_.shape
    if depth != input_.shape[3]:
        return None  # in groups
    window = sliding_window(view, input_, height, width, dilated=True)
    constants = filter_constants(view, filter_channels(filter_), scales=product_scales(input_, filter_))
    scratch = 0 if window.is_pointwise else _convolution_scratch(view, height * width * depth)
    fields: dict[str, ParameterValue] = {
        "layer": {**_offsets(input_, output), **_window(window), **_activation(view, output)},
        "input": _dims(input_.shape),
        "filter": _dims(filter_.shape),
        "bias": _dims((1, 1, 1, channels)),
        "output": _dims(output.shape),
        "scratch_bytes": scratch,
    }
    return _layer(view, "cmsis_nn_convolve", "struct cmsis_nn_convolution", fields, constants, scratch)


def _depthwise(view: OpView) -> Layer:
    input_, output, filter_ = view.activation(0), view.output(), read_filter(view, rank=4, channel_axis=3)
    _, height, width, channels = filter_.shape
    window = sliding_window(view, input_, height, width, dilated=True)
    assert filter_.data is not None
    constants = filter_constants(view, filter_.data.reshape(-1, channels).T, scales=product_scales(input_, filter_))
    constants = replace(constants, weights=Constant("weights", filter_.data))
    scratch = _depthwise_scratch(view, height * width, input_.shape[3])
    fields: dict[str, ParameterValue] = {
        "layer": {
            **_offsets(input_, output),
            "ch_mult": channels // input_.shape[3],
            **_window(window),
            **_activation(view, output),
        },
        "input": _dims(input_.shape),
        "filter": _dims(filter_.shape),
        "bias": _dims((1, 1, 1, channels)),
        "output": _dims(output.shape),
        "scratch_bytes": scratch,
    }
    return _layer(view, "cmsis_nn_depthwise_convolve", "struct cmsis_nn_depthwise", fields, constants, scratch)


def _fully_connected(view: OpView) -> Layer | None:
    input_, output, filter_ = view.activation(0), view.output(), read_filter(view, rank=2, channel_axis=0)
    units, depth = filter_.shape
    constants = filter_constants(view, filter_channels(filter_), scales=product_scales(input_, filter_))
    if constants.multiplier.values.size > 1:
        return None  # one scale for each unit came with CMSIS-NN 6
    rows = input_.elements // depth
    fields: dict[str, ParameterValue] = {
        "layer": {**_offsets(input_, output), "filter_offset": 0, **_activation(view, output)},
        "input": _dims((rows, 1, 1, depth)),
        "filter": _dims((depth, 1, 1, units)),
        "bias": _dims((1, 1, 1, units)),
        "output": _dims((rows, 1, 1, units)),
    }
    return _layer(view, "cmsis_nn_fully_connect", "struct cmsis_nn_fully_connected", fields, constants, None)


def _pooling(view: OpView) -> Layer:
    input_, output = view.activation(0), view.output()
    height, width = (view.integer(name, 1, 32_767) for name in ("filter_height", "filter_width"))
    window = sliding_window(view, input_, height, width, dilated=False)
    average = view.op.name == "AVERAGE_POOL_2D"
    scratch = 4 * input_.shape[3] if average and _has_dsp_only(view) else 0
    geometry = _window(window)
    parameters = Parameters(
        "struct cmsis_nn_pooling",
        {
            "layer": {
                "stride": geometry["stride"],
                "padding": geometry["padding"],
                **_activation(view, output),
            },
            "input": _dims(input_.shape),
            "filter": _dims((1, height, width, 1)),
            "output": _dims(output.shape),
            "scratch_bytes": scratch,
        },
    )
    return Layer(
        op=view.op,
        kernel="cmsis_nn_average_pool" if average else "cmsis_nn_max_pool",
        header="",
        arguments=(parameters, Input(0), Output(), Scratch()),
        scratch_bytes=scratch,
    )


# -- what its functions named ..._get_buffer_size() return --------------------------------------------------------


def _convolution_scratch(view: OpView, products: int) -> int:
    return 32 * -(-products // 8) if "mve" in view.core_features else 4 * products


def _depthwise_scratch(view: OpView, taps: int, channels: int) -> int:
    if "mve" in view.core_features:
        return 4 * 124 * taps
    return 2 * taps * channels if _has_dsp_only(view) else 0


def _has_dsp_only(view: OpView) -> bool:
    return "dsp" in view.core_features and "mve" not in view.core_features


# -- arguments ----------------------------------------------------------------------------------------------------


def _layer(
    view: OpView, kernel: str, c_type: str, fields: Fields, constants: FilterConstants, scratch: int | None
) -> Layer:
    channels = constants.bias.values.size
    arguments: tuple[Argument, ...] = (
        Parameters(c_type, fields),
        Input(0),
        constants.weights,
        constants.bias,
        *(
            Constant(constant.name, np.array(np.broadcast_to(constant.values, channels), np.int32))
            for constant in (constants.multiplier, constants.shift)
        ),
        Output(),
    )
    if scratch is not None:
        return Layer(view.op, kernel, "", (*arguments, Scratch()), scratch_bytes=scratch)
    return Layer(view.op, kernel, "", arguments)


def _offsets(input_: Tensor, output: Tensor) -> dict[str, ParameterValue]:
    return {"input_offset": -input_.zero_point, "output_offset": output.zero_point}


def _activation(view: OpView, output: Tensor) -> dict[str, ParameterValue]:
    low, high = view.activation_range(output)
    return {"activation": {"min": low, "max": high}}


def _window(window: Window) -> dict[str, ParameterValue]:
    return {
        "stride": {"w": window.stride_width, "h": window.stride_height},
        "padding": {"w": window.padding_left, "h": window.padding_top},
        "dilation": {"w": window.dilation_width, "h": window.dilation_height},
    }


def _dims(shape: Sequence[int]) -> dict[str, ParameterValue]:
    return dict(zip("nhwc", shape, strict=True))
