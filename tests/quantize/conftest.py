"""What these tests share."""

from support.one_worker import one_worker

__all__ = ["one_worker"]
