"""TinyML SDK: int8 neural networks on microcontrollers, compiled to C, verified byte for byte and measured."""

__version__ = "0.1.0"
__all__ = ["__version__"]
