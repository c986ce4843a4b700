"""ADD and SUB as one linear function of both stored inputs, and the proof that it gives TFLM's bytes.

TFLM rescales each input, then their sum, with four roundings on the way. All of it depends on two bytes, so that every
result can be computed here, and a cheaper formula be compared with all 65,536 of them. The kernel
(`firmware_templates/kernels/dsp/add_dsp.h`) then needs a fifth of the instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import Tensor
from .arithmetic import quantize_multiplier

__all__ = ["LinearSum", "Operand", "exact_sums", "linear_sum", "sum_operand"]

Int64 = npt.NDArray[np.int64]

_FRACTION = 20  # TINYML_DSP_SUM_FRACTION
_FACTOR_BITS = 8  # that a factor has below the sum's
_HEADROOM_BITS = 20
_STORED = np.arange(-128, 128, dtype=np.int64)
_UNBOUNDED = 2**40


@dataclass(frozen=True)
class Operand:
    """What a tensor's bytes mean, the output's too: real = scale x (stored - zero point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class LinearSum:
    """output = saturate((((factor1 x input1) >> 8) + ((factor2 x input2) >> 8) + offset) >> 20).

    `rounded`: the products are to the nearest, with ties up, instead of down.
    """

    factor1: int
    factor2: int
    offset: int
    rounded: bool = False

    @property
    def sums(self) -> Int64:
        """What is shifted, for every pair of inputs: (256 values of input 1, 256 of input 2)."""
        half = 1 << (_FACTOR_BITS - 1) if self.rounded else 0
        first, second = ((factor * _STORED + half) >> _FACTOR_BITS for factor in (self.factor1, self.factor2))
        return first[:, None] + second[None] + self.offset


def sum_operand(tensor: Tensor) -> Operand:
    """What a tensor's bytes mean."""
    return Operand(tensor.scale, tensor.zero_point)


def exact_sums(
    operand1: Operand, operand2: Operand, output: Operand, *, subtract: bool, activation: tuple[int, int]
) -> Int64:
    """TFLM's output for every pair of inputs: (256 values of input 1, 256 of input 2), each from -128 up.

    `AddElementwise` and `SubElementwise` (tensorflow/lite/kernels/internal/reference/add.h, sub.h), vectorized.
    """
    common = 2 * max(operand1.scale, operand2.scale)
    scaled1, scaled2 = (
        _rescale((_STORED - operand.zero_point) << _HEADROOM_BITS, operand.scale / common)
        for operand in (operand1, operand2)
    )
    sums = scaled1[:, None] + (-scaled2 if subtract else scaled2)[None]
    outputs = _rescale(sums, common / ((1 << _HEADROOM_BITS) * output.scale)) + output.zero_point
    return np.clip(outputs, *activation)


def _rescale(values: Int64, factor: float) -> Int64:
    """`MultiplyByQuantizedMultiplierSmallerThanOneExp` with double rounding, of each value."""
    multiplier, shift = quantize_multiplier(factor)
    high = (values * multiplier + (1 << 30)) >> 31
    mask = (1 << -shift) - 1
    return (high >> -shift) + ((high & mask) > (mask >> 1) + (high < 0))


def linear_sum(
    operand1: Operand,
    operand2: Operand,
    output: Operand,
    *,
    subtract: bool,
    activation: tuple[int, int],
    rounded: bool = False,
) -> LinearSum | None:
    """The function that equals TFLM for all inputs, or None where none does.

    That happens where many sums lie exactly between two outputs (TFLM rounds these away from zero), where saturation
    is not the activation, and where an input counts for eight or more of the output's units.
    """
    exact = exact_sums(operand1, operand2, output, subtract=subtract, activation=activation)
    unit = 1 << (_FRACTION + _FACTOR_BITS)
    factor1, factor2 = (round(operand.scale / output.scale * unit) for operand in (operand1, operand2))
    if max(factor1, factor2) >= 2**31:
        return None
    factor2 = -factor2 if subtract else factor2
    sums = LinearSum(factor1, factor2, 0, rounded).sums
    # Each output leaves the offset an interval; any offset in all of them will do.
    least = int((np.where(exact == -128, -_UNBOUNDED, exact << _FRACTION) - sums).max())
    most = int((np.where(exact == 127, _UNBOUNDED, (exact + 1) << _FRACTION) - 1 - sums).min())
    offset = (least + most) // 2
    low, high = int(sums.min()) + offset, int(sums.max()) + offset
    if least > most or low < -(2**31) or high >= 2**31:
        return None
    # Sums are modulo 2^32 until they are whole.
    return LinearSum(factor1, factor2, (offset + 2**31) % 2**32 - 2**31, rounded)
