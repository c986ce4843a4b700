"""Graph and memory plan in, C out: the model library and whole firmware projects."""

from .model_source import ModelSource, Optimize, generate_model

__all__ = ["ModelSource", "Optimize", "generate_model"]
