"""ADD and SUB as one linear function: where it is taken, and that it gives TFLM's bytes for all pairs of inputs."""

import numpy as np
import pytest
from support.binary_op import Quantization, binary_model
from support.single_op import assert_equals_tflm, lower
from support.tflm import needs_tflm

from tinyml_sdk.boards.cores import CORES

Quantizations = tuple[Quantization, Quantization, Quantization]

M3, M4 = CORES["cortex-m3"], CORES["cortex-m4"]
RESIDUAL: Quantizations = ((0.03939355, -128), (0.10419496, 4), (0.05094567, -128))


def kernel(name: str, shape1: tuple[int, ...], quantizations: Quantizations, activation: str = "NONE") -> str:
    model = binary_model(name, shape1, (2, 8), quantizations, fused_activation_function=activation)
    return lower(model, M4)[0].kernel


@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize(
    ("shape1", "quantizations", "activation", "linear"),
    [
        ((2, 8), RESIDUAL, "RELU", True),
        ((1, 1, 8), RESIDUAL, "RELU", True),  # in rows
        ((2, 1), RESIDUAL, "RELU", False),  # the first input stays along a row
        ((2, 8), ((0.1, 0), (0.1, 0), (0.2, 7)), "NONE", False),  # ties below the zero point
        ((2, 8), ((0.1, 0), (0.1, 0), (0.2, -128)), "RELU", True),  # no such ties
        ((2, 8), ((0.1, 5), (0.07, -9), (0.153, 3)), "RELU6", False),  # a clamp within int8
        ((2, 8), ((0.9, 0), (0.1, 0), (0.1, 0)), "NONE", False),  # more than the sum has room for
    ],
)
def test_where_the_linear_function_is_taken(
    name: str, shape1: tuple[int, ...], quantizations: Quantizations, activation: str, linear: bool
) -> None:
    assert kernel(name, shape1, quantizations, activation) == ("tinyml_add_dsp" if linear else "tinyml_add")


@needs_tflm
@pytest.mark.parametrize("name", ["ADD", "SUB"])
@pytest.mark.parametrize(
    "quantizations",
    [
        RESIDUAL,
        ((0.1, 5), (0.0698, -9), (0.153, 3)),
        ((0.06584981083869934, 116), (0.09426364302635193, -27), (0.038871406093239784, -62)),
        ((0.1, -128), (1e-4, 127), (0.2, -128)),
        ((1e-3, 127), (2e-3, -128), (1.5, 17)),  # everything is zero
    ],
)
def test_all_pairs(name: str, quantizations: Quantizations) -> None:
    """One element more than a multiple of four."""
    model = binary_model(name, (65537,), (65537,), quantizations)
    assert lower(model, M4)[0].kernel == "tinyml_add_dsp"
    everything = np.arange(-128, 128).astype(np.int8)
    first, second = np.resize(np.repeat(everything, 256), 65537), np.resize(np.tile(everything, 256), 65537)
    assert_equals_tflm(model, [[first, second]])
    assert lower(model, M3)[0].kernel == "tinyml_add_scalar"
    assert_equals_tflm(model, [[first, second]], cores=(M3,))
