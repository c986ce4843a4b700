"""A test module's RNG begins anew in each of its tests: what one sees does not depend on those that ran before it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def rng_at_first(request: pytest.FixtureRequest) -> Any:
    """The state of the module's `RNG` before its first test; None where it has none."""
    generator = getattr(request.module, "RNG", None)
    return None if generator is None else generator.bit_generator.state


@pytest.fixture(autouse=True)
def fresh_rng(request: pytest.FixtureRequest, rng_at_first: Any) -> None:
    """The numbers of one test are the same alone, on many workers, and in any order."""
    if rng_at_first is not None:
        request.module.RNG.bit_generator.state = rng_at_first
