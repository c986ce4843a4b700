"""TensorFlow Lite Micro as a runtime: which of its libraries fits a board, and how much memory a model needs in it."""

from .model import TflmModel, inspect_tflm_model
from .tree import find_library

__all__ = ["TflmModel", "find_library", "inspect_tflm_model"]
