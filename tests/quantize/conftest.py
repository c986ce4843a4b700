"""What these tests share."""

from support.fresh_rng import fresh_rng, rng_at_first
from support.one_worker import one_worker

__all__ = ["fresh_rng", "one_worker", "rng_at_first"]
