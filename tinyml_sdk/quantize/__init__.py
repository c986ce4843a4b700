"""Keras in, full-int8 .tflite out: post-training quantization, checked and measured."""

from .job import Activations, Granularity, Method
from .quantizer import quantize_model, write_model
from .result import Accuracy, LayerNoise, QuantizationResult

__all__ = [
    "Accuracy",
    "Activations",
    "Granularity",
    "LayerNoise",
    "Method",
    "QuantizationResult",
    "quantize_model",
    "write_model",
]
