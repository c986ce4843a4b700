"""Tensor lifetimes, placement in the arena, and whether a model fits a board."""

from .memory import LiveBuffer, MemoryPlan, plan_memory

__all__ = ["LiveBuffer", "MemoryPlan", "plan_memory"]
