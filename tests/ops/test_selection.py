"""What a layer says of the kernels that were considered for it."""

import pytest
from support.binary_op import binary_model
from support.single_op import lower

from tinyml_sdk.boards.cores import CORES
from tinyml_sdk.ops import KernelChoice

M4, M0 = CORES["cortex-m4"], CORES["cortex-m0"]
RESIDUAL = ((0.04, -128), (0.1, 4), (0.05, -128))


def test_the_taken_kernel_is_the_layers() -> None:
    (layer,) = lower(binary_model("ADD", (4, 8), (4, 8), RESIDUAL), M4)
    taken, other, *_ = sorted(layer.choices, key=lambda choice: not choice.taken)
    assert (taken.kernel, taken.reason) == (layer.kernel, "the cheapest")
    assert taken.cost is not None
    assert other.cost is not None
    reason = f"costs {other.cost / taken.cost:.1f} times as much"
    assert other == KernelChoice("tinyml_add", other.cost, False, reason, possible=True)


def test_a_core_without_the_feature() -> None:
    (layer,) = lower(binary_model("ADD", (4, 8), (4, 8), RESIDUAL), M0)
    assert layer.kernel == "tinyml_add_scalar"
    reasons = {choice.reason for choice in layer.choices if not choice.taken}
    assert {"the core has no dsp", "the core has no mve"} < reasons


@pytest.mark.parametrize(
    ("shape", "output", "reason"),
    [
        ((4, 1), (0.05, -128), "an input is repeated along the rows"),
        ((4, 8), (0.0004, -128), "no linear function of the inputs gives TFLM's bytes for all pairs"),
    ],
)
def test_a_condition_that_fails(shape: tuple[int, ...], output: tuple[float, int], reason: str) -> None:
    (layer,) = lower(binary_model("ADD", shape, (4, 8), (*RESIDUAL[:2], output)), M4)
    assert KernelChoice("tinyml_add_dsp", None, False, reason) in layer.choices
