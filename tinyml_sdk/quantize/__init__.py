"""Keras in, full-int8 .tflite out: post-training quantization, checked and measured."""

from .job import Granularity, Method
from .quantizer import quantize_model, write_model
from .result import Accuracy, LayerNoise, QuantizationResult

__all__ = ["Accuracy", "Granularity", "LayerNoise", "Method", "QuantizationResult", "quantize_model", "write_model"]
