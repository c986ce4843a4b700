"""Keras in, full-int8 .tflite out: post-training quantization, checked and measured."""

from .job import Activations, Granularity, Method, Weights
from .quantizer import quantize_model, write_model
from .result import Accuracy, LayerNoise, LayerWeights, QuantizationResult

__all__ = [
    "Accuracy",
    "Activations",
    "Granularity",
    "LayerNoise",
    "LayerWeights",
    "Method",
    "QuantizationResult",
    "Weights",
    "quantize_model",
    "write_model",
]
