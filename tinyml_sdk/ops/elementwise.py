"""Layers of operators that turn each byte into another: by a table, or by a clamp."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, frexp

import numpy as np

from ..graph import DType, Tensor
from .arithmetic import quantize_multiplier
from .base import Constant, Input, Layer, OpView, Output, Parameters
from .fixed_point import rescale
from .overlap import IN_PLACE

__all__ = ["clamp_layer", "is_unity", "quantize_rescaling", "rescaling", "sigmoid_like", "table_layer"]

_LARGEST_SHIFT = 22
"""stored - zero_point has 9 bits, so that this shift still fits 32 with room for the zero point."""


def quantize_rescaling(view: OpView, factor: float) -> tuple[int, int]:
    """Multiplier and shift of a factor for values of 9 bits. Raises ModelError where results could leave 32 bits."""
    multiplier, shift = quantize_multiplier(factor) if factor < 2**_LARGEST_SHIFT else (0, _LARGEST_SHIFT + 1)
    if shift > _LARGEST_SHIFT:
        raise view.fail("quantization", f"the input's scale is over 2^{_LARGEST_SHIFT} times the output's")
    return multiplier, shift


def is_unity(multiplier: int, shift: int) -> bool:
    """Whether a rescaling by these changes nothing."""
    return (multiplier, shift) == (1 << 30, 1)


def table_layer(view: OpView, function: Callable[[int], int]) -> Layer:
    """The layer that replaces every stored byte of input 0 by `function` of it, clamped to the output's type.

    All of TFLM's arithmetic is done here, for the 256 values there are. On the device that is four instructions an
    element, and 256 bytes of flash: less than the code of a logistic function, and 200 more than that of a rescaling
    which takes four times as long (far longer on a Cortex-M0, which lacks the 64-bit product).
    """
    input_, output = view.op.inputs[0], view.op.outputs[0]
    low, high = _range(view.graph.tensors[output])
    stored = np.arange(256).astype(np.uint8).view(_byte(view.graph.tensors[input_]))
    values = [min(max(function(int(value)), low), high) for value in stored]
    table = np.array(values, _byte(view.graph.tensors[output])).view(np.uint8)
    return Layer(
        op=view.op,
        kernel="tinyml_lookup",
        header="lookup.h",
        arguments=(
            Parameters("tinyml_lookup_params", {"elements": view.graph.tensors[output].elements}),
            Input(0),
            Constant("table", table),
            Output(),
        ),
        lead=(IN_PLACE,),
    )


def clamp_layer(view: OpView, low: int, high: int) -> Layer:
    """The layer that limits int8 values, and leaves them as they are otherwise."""
    parameters = Parameters(
        "tinyml_clamp_params", {"elements": view.output().elements, "low": max(low, -128), "high": min(high, 127)}
    )
    return Layer(
        op=view.op,
        kernel="tinyml_clamp_elements",
        header="clamp.h",
        arguments=(parameters, Input(0), Output()),
        lead=(IN_PLACE,),
        is_copy=low <= -128 and high >= 127,
    )


def sigmoid_like(
    view: OpView, *, integer_bits: int, output: tuple[float, int], function: Callable[[int], int]
) -> Callable[[int], int]:
    """From stored input to stored output of a function that TFLM computes in fixed point: LOGISTIC, TANH.

    Args:
        view: The op; its shapes and quantizations are checked.
        integer_bits: Of the fixed-point number that the input becomes. Beyond it, the output is at its limit.
        output: The scale and zero point that the output must have.
        function: From that number to the stored output.
    """
    input_, result = view.activation(0), view.output()
    view.expect_shape(result, input_.shape)
    if (result.scale, result.zero_point) != output:
        # TFLM does not check the scale, and gives the same bytes for any.
        raise view.fail(
            "output 0: quantization",
            f"scale {result.scale:g} and zero point {result.zero_point} are not 1/{1 / output[0]:g} and {output[1]}",
        )
    fraction, shift = frexp(input_.scale * 2 ** (31 - integer_bits))
    # TFLM's shift is undefined for scales outside these.
    if not 0 <= shift <= 62:
        raise view.fail("input 0: quantization", f"scale {input_.scale:g} is not between 2^-27 and 2^35")
    multiplier = int(fraction * 2**31)  # exact: a float32 has 24 bits
    limit = floor((2**integer_bits - 1) * 2 ** (31 - integer_bits) / 2**shift)

    def stored(value: int) -> int:
        value -= input_.zero_point
        if abs(value) >= limit:
            return 127 if value > 0 and value >= limit else -128
        return function(rescale(value, multiplier, shift))

    return stored


def rescaling(input_: Tensor, output: Tensor, multiplier: int, shift: int) -> Callable[[int], int]:
    """From stored input to stored output, without a clamp."""
    return lambda value: output.zero_point + rescale(value - input_.zero_point, multiplier, shift)


def _byte(tensor: Tensor) -> type[np.int8] | type[np.uint8]:
    return np.uint8 if tensor.dtype is DType.UINT8 else np.int8


def _range(tensor: Tensor) -> tuple[int, int]:
    return (0, 255) if tensor.dtype is DType.UINT8 else (-128, 127)
