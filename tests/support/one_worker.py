"""One process with TensorFlow for all conversions of a test session: importing it takes seconds each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tinyml_sdk.quantize.process import Worker


@pytest.fixture(scope="session", autouse=True)
def one_worker() -> Iterator[None]:
    """Stands in for the process that each call would start for itself. Tests of the process bring their own."""
    with Worker() as shared, pytest.MonkeyPatch.context() as patch:
        for user in ("tinyml_sdk.quantize.quantizer.Worker", "tinyml_sdk.compress.pipeline.Worker"):
            patch.setattr(user, lambda: nullcontext(shared))
        yield
