"""`.tflite` in, a checked and immutable Graph out. The only place that knows FlatBuffers."""

from .model import ABSENT, DType, Graph, Op, OptionValue, Quantization, Tensor
from .reader import parse_graph, read_graph

__all__ = [
    "ABSENT",
    "DType",
    "Graph",
    "Op",
    "OptionValue",
    "Quantization",
    "Tensor",
    "parse_graph",
    "read_graph",
]
