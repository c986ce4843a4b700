"""What `bench` asks of a firmware that somebody else has built."""

from __future__ import annotations

from typing import Any

import pytest

from tinyml_sdk import TargetError
from tinyml_sdk.bench.session import check_build
from tinyml_sdk.link import CounterKind, DeviceInfo


def device(**facts: Any) -> DeviceInfo:
    counter = {"counter": CounterKind.DWT, "counter_hz": 64_000_000, "clock_hz": 64_000_000}
    sizes = {"stack_bytes": 0, "frame_bytes": 256, "input_bytes": (64,), "output_bytes": (10,)}
    names = {"board": "nano33ble", "model_name": "digits", "model_sha256": bytes(32)}
    return DeviceInfo(**{"ready": True, "arena_bytes": 1568, "layer_count": 8, **counter, **sizes, **names, **facts})


def test_a_firmware_generated_with_the_same_options_passes() -> None:
    check_build(device(), 8, 1568)


@pytest.mark.parametrize("facts", [{"layer_count": 7}, {"arena_bytes": 1572}])
def test_other_options_are_named(facts: dict[str, int]) -> None:
    with pytest.raises(TargetError, match=r"generated otherwise: it has .* these options give 8 and 1,568") as caught:
        check_build(device(**facts), 8, 1568)
    assert "tinyml generate" in caught.value.hint
