"""What these tests share."""

from typing import Any

import pytest
from support.fresh_rng import fresh_rng, rng_at_first
from support.one_worker import one_worker
from support.tools import require_tool

__all__ = ["fresh_rng", "one_worker", "rng_at_first"]


@pytest.fixture
def keras() -> Any:
    """Keras, seeded."""
    require_tool("tensorflow")
    import keras

    keras.utils.set_random_seed(5)
    return keras
